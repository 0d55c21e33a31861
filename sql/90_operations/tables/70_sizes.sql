-- How large the tables were on each day somebody looked, so that growth is known.

create table private.table_size_readings (
  taken_on date not null,
  table_name text not null,
  row_estimate bigint,
  total_bytes bigint not null,
  primary key (taken_on, table_name),
  constraint sizes_are_not_below_zero check (row_estimate >= 0 and total_bytes >= 0)
);
comment on table private.table_size_readings is 'The size of each table, with its indexes and partitions, once a day at most.';
comment on column private.table_size_readings.table_name is 'With its schema.';
comment on column private.table_size_readings.row_estimate is 'As the last analyze or vacuum counted; null where none ran yet.';
