-- The last file of all: everything is there now.
select private.record_schema();
