"""The Python client: values, errors, retries over both transports, and what generates it."""
