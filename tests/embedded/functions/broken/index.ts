throw new Error("this function never gets as far as serving");
