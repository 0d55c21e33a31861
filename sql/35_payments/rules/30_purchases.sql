-- Buying a package: its terms are frozen on the purchase, and its credits are granted.

-- The package is locked against changes until the purchase is there, so that the terms are all of one moment.
create function private.freeze_package() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_package public.packages;
begin
  select k.* into v_package from public.packages k where k.id = new.package_id for share;
  if not found then
    perform private.fail('not_found', 'There is no such package', 'package_id', jsonb_build_object('package_id', new.package_id));
  end if;
  if not v_package.is_active then
    perform private.fail('illegal_transition', format('%s is no longer sold', v_package.name), 'package_id',
      jsonb_build_object('package_id', new.package_id));
  end if;
  new.credits := coalesce(new.credits, v_package.class_count);
  new.price := coalesce(new.price, v_package.price);
  new.validity_days := coalesce(new.validity_days, v_package.validity_days);
  new.late_cancel_hours := coalesce(new.late_cancel_hours, v_package.late_cancel_hours);
  new.purchased_on := coalesce(new.purchased_on, private.today());
  perform private.fail_input(
    private.input_error(new.purchased_on < date '1970-01-01' or new.purchased_on >= date '2200-01-01', 'purchased_on', 'A date lies between 1970 and 2199')
    || private.input_error(new.credits not between 1 and 1000, 'credits', 'A package has 1 to 1000 classes')
    || private.input_error(not new.price between 0 and 9999999999.99, 'price', 'A price is not negative')
    || private.input_error(new.validity_days not between 1 and 3660, 'validity_days', 'A package is valid for 1 to 3660 days')
    || private.input_error(new.late_cancel_hours not between 0 and 744, 'late_cancel_hours',
      'Cancelling is late at most 744 hours before the start')
  );
  new.expires_on := new.purchased_on + new.validity_days;
  new.status := 'active';
  new.paused_on := null;
  return new;
end;
$$;
comment on function private.freeze_package() is
  'Row trigger: a purchase starts with what its package says now, unless it says otherwise itself (an import), and is active.';

create function private.grant_credits() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into public.credit_entries (purchase_id, kind, occurs_on) values (new.id, 'granted', new.purchased_on);
  return null;
end;
$$;
comment on function private.grant_credits() is 'Row trigger: the first entry of a purchase grants its credits.';

create trigger t05_only_entries_change_it before update on public.package_purchases
  for each statement execute function private.refuse_direct_write(
    'A purchase follows its entries: call pause_package(), resume_package() or refund_package().');
create trigger t10_keep_version before update on public.package_purchases
  for each row execute function private.keep_version();
create trigger t20_freeze before insert on public.package_purchases
  for each row execute function private.freeze_package();
create trigger t40_never_deleted before delete on public.package_purchases
  for each row execute function private.refuse_statement('A purchase is refunded, not deleted: its credits stay on record');
create trigger t50_grant after insert on public.package_purchases
  for each row execute function private.grant_credits();

select private.attach_dues('public.package_purchases');
