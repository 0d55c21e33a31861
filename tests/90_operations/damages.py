"""Damage to rows of the modules up to the studio, and to the schema."""

from __future__ import annotations

from tests.support.damage import Damage, Town


def prepare(town: Town) -> None:
    """Rows for each damage to name, so that none stands in another's way."""
    studio, world, one = town.studio, town.stage.world, town.one
    names = town.names
    names["zoe"] = one("insert into public.user_profiles (full_name) values ('Zoe') returning id")
    for number in range(1, 4):
        names[f"meeting{number}"] = one(
            "select id from public.schedule_meeting('Algebra', private.today() + %s, '09:00', '10:00', %s)",
            20 + number,
            [names["zoe"]],
        )
    names["rule"] = one("select id from public.create_weekly_rule('Choir', %s, 3, '18:00', '19:00')", [names["zoe"]])
    customer = world.user("member", full_name="Cy Customer")
    card = world.insert("public.packages", name="Punch card", price=50, class_count=5, validity_days=400).id
    for lot in ("lot", "spare"):
        names[lot] = world.insert(
            "public.package_purchases", profile_id=customer.profile_id, package_id=card, purchased_on=studio.day(-60)
        ).id
    names["payment"], names["overpaid"] = (
        world.insert("public.payments", payer_id=customer.profile_id, amount=50, method="cash").id for _ in range(2)
    )
    for payment in ("payment", "overpaid"):
        world.insert(
            "public.payment_items",
            payment_id=names[payment],
            source_table="package_purchases",
            source_id=names["spare"],
            amount=20,
        )
    names["unserved"], names["served"], names["linked"] = (studio.booking().id for _ in range(3))
    codes = {
        name: one("select booking_id from public.bookings where id = %s", names[name])
        for name in ("unserved", "served", "linked")
    }
    row = one("select to_jsonb(b)::text from public.bookings b where id = %s", names["linked"])
    names["linked_row"] = row.replace("'", "''")
    names["lesson1"] = studio.assignment(1).id
    studio.link(names["lesson1"], codes["served"])
    done = {"class_status": "completed", "instructor_status": "accepted"}
    names["past"] = studio.assignment(-30, **done).id
    names["lesson2"] = studio.assignment(2).id
    names["link"] = one(
        "insert into public.assignment_bookings (assignment_id, booking_id) values (%s, %s) returning id",
        names["lesson2"],
        codes["linked"],
    )
    names["lesson3"] = studio.assignment(3).id
    names["weekly"] = studio.schedule(weekday=5, start="14:00", end="15:00").id
    names["archived"] = studio.assignment(-50, **done).id
    assert one("select public.archive_assignments(%s)", studio.day(-40)) >= 1
    names["ghost"] = "00000000-0000-4000-8000-00000000dead"
    names["course1"], names["course2"] = (
        world.insert("public.courses", kind="training", title=f"Course {number}", code=f"PD {number}").id
        for number in range(2)
    )
    world.insert("public.course_prerequisites", course_id=names["course1"], required_course_id=names["course2"])
    world.insert(
        "public.instructor_rates", instructor_id=studio.teacher.profile_id, rate=50, effective_from=studio.day(-10)
    )
    names["paid"] = studio.assignment(5, payment_amount=None).id
    names["period"] = world.insert(
        "public.pay_periods", name="Planted", starts_on=studio.day(-700), ends_on=studio.day(-690)
    ).id


DAMAGES = [
    Damage(
        "a meeting's time is not claimed",
        "delete from public.claims where source_id = '{meeting1}'",
        (
            ("claims_missing", "critical", "meetings", "meetings {meeting1}"),
        ), mended=True,
    ),
    Damage(
        "a meeting is gone and its time still taken",
        "delete from public.meetings where id = '{meeting2}'",
        (
            ("claims_orphaned", "error", "meetings", "meetings {meeting2}"),
        ), mended=True,
    ),
    Damage(
        "a claim is shorter than its meeting",
        "update public.claims set during = tstzrange(lower(during), upper(during) - interval '1 min') where source_id = '{meeting3}'",
        (
            ("claims_differ", "critical", "meetings", "meetings {meeting3}"),
        ), mended=True,
    ),
    Damage(
        "the last dates of a weekly rule are gone",
        "delete from public.claims where source_id = '{rule}' and occurs_on > private.today() + 300",
        (
            ("rule_dates_differ", "critical", "weekly_rules", "weekly_rules {rule}"),
        ), mended=True,
    ),
    Damage(
        "a place is no resource",
        "insert into public.locations (id, name) values ('{ghost}', 'Annexe')",
        (
            ("people_and_resources_differ", "error", "locations", "{ghost}"),
        ), mended=True,
    ),
    Damage(
        "a role of a login that is gone",
        "insert into public.user_roles (user_id, role_name) values ('{ghost}', 'staff')",
        (
            ("roles_of_missing_users", "error", "public.user_roles", "{ghost}/staff"),
        ),
    ),
    Damage(
        "courses require each other",
        "insert into public.course_prerequisites (course_id, required_course_id) values ('{course2}', '{course1}')",
        (
            ("prerequisites_in_a_circle", "error", "courses", "{course1}"),
            ("prerequisites_in_a_circle", "error", "courses", "{course2}"),
        ),
    ),
    Damage(
        "a balance that does not add up",
        "update public.package_purchases set expires_on = expires_on + 9 where id = '{lot}'",
        (
            ("package_credits_differ", "error", "package_purchases", "{lot}"),
        ), mended=True,
    ),
    Damage(
        "more given back than came in",
        "insert into public.refunds (payment_id, amount, reason) values ('{payment}', 60, 'Planted.')",
        (
            ("payment_items_over_amount", "critical", "payments", "{payment}"),
            ("payments_over_refunded", "critical", "payments", "{payment}"),
        ),
    ),
    Damage(
        "lines that are more than the whole",
        "update public.payment_items set amount = 51 where payment_id = '{overpaid}'",
        (
            ("payment_items_over_amount", "critical", "payments", "{overpaid}"),
        ),
    ),
    Damage(
        "a booking confirmed by nothing",
        "update public.bookings set status = 'confirmed' where id = '{unserved}'",
        (
            ("bookings_confirmed_by_nothing", "error", "bookings", "{unserved}"),
        ), mended=True,
    ),
    Damage(
        "a booking pending that is served",
        "update public.bookings set status = 'pending' where id = '{served}'",
        (
            ("bookings_pending_but_served", "error", "bookings", "{served}"),
        ), mended=True,
    ),
    Damage(
        "a link to a booking that is gone",
        "delete from public.bookings where id = '{linked}'",
        (
            ("links_to_nothing", "error", "assignment_bookings", "{link}"),
        ), mended=True,
        undo_needs="insert into public.bookings select (jsonb_populate_record(null::public.bookings, '{linked_row}')).*",
    ),
    Damage(
        "a class of the past that is still to come",
        "update public.class_assignments set class_status = 'scheduled' where id = '{past}'",
        (
            ("classes_past_but_scheduled", "warning", "class_assignments", "{past}"),
        ), mended=True,
    ),
    Damage(
        "a template other than its weekly rule",
        "update public.weekly_rules set title = 'Other' where id = '{weekly}'",
        (
            ("rule_dates_differ", "critical", "weekly_rules", "weekly_rules {weekly}"),
            ("schedules_differ", "critical", "class_schedules", "{weekly}"),
        ), mended=True,
    ),
    Damage(
        "an archived class that is live",
        "insert into public.class_assignments select (jsonb_populate_record(null::public.class_assignments, to_jsonb(r))).* from public.class_assignments_archive r where r.id = '{archived}'",
        (
            ("claims_missing", "critical", "class_assignments", "class_assignments {archived}"),
            ("classes_archived_and_live", "error", "class_assignments", "{archived}"),
        ), mended=True,
    ),
    Damage(
        "instants other than the wall clock's",
        "update public.class_assignments set starts_at = starts_at - interval '10 min' where id = '{lesson3}'",
        (
            ("claims_differ", "critical", "class_assignments", "class_assignments {lesson3}"),
            ("class_instants_differ", "error", "class_assignments", "{lesson3}"),
        ), mended=True,
    ),
    Damage(
        "an amount other than calculated",
        "update public.class_assignments set payment_amount = 5 where id = '{paid}'",
        (
            ("amounts_differ", "warning", "class_assignments", "{paid}"),
        ), mended=True,
    ),
    Damage(
        "a pay period that was never closed",
        "update public.pay_periods set status = 'closed' where id = '{period}'",
        (
            ("pay_periods_differ", "error", "pay_periods", "{period}"),
        ), mended=True,
    ),
    Damage(
        "row level security is off",
        'alter table public.bookings disable row level security',
        (
            ("tables_without_row_security", "critical", "pg_class", "public.bookings"),
        ), in_schema=True,
    ),
    Damage(
        "a unique index is lost",
        'drop index public.alerts_one_open',
        (
            ("schema_objects_missing", "critical", "schema", "index alerts_one_open on public.alerts"),
        ), in_schema=True,
    ),
    Damage(
        "a unique constraint is lost",
        'alter table public.fix_runs drop constraint fix_runs_undone_once',
        (
            ("foreign_keys_unindexed", "warning", "pg_constraint", "fix_runs_undoes_fkey on public.fix_runs"),
            ("schema_objects_missing", "critical", "schema", "constraint fix_runs_undone_once on public.fix_runs"),
        ), in_schema=True,
    ),
    Damage(
        "a key is lost",
        'alter table public.payment_items drop constraint payment_items_payment_id_fkey',
        (
            ("schema_objects_missing", "critical", "schema", "constraint payment_items_payment_id_fkey on public.payment_items"),
        ), in_schema=True,
    ),
    Damage(
        "a trigger is disabled",
        'alter table public.bookings disable trigger t10_keep_version',
        (
            ("ledger_guards_missing", "critical", "pg_trigger", "public.bookings t10_keep_version"),
        ), in_schema=True,
    ),
    Damage(
        "a trigger is gone",
        'drop trigger t60_forget_images on public.user_profiles',
        (
            ("schema_objects_missing", "critical", "schema", "trigger t60_forget_images on public.user_profiles"),
        ), in_schema=True,
    ),
    Damage(
        "a table leaves no images",
        'drop trigger t99_keep_image on public.locations',
        (
            ("tables_without_images", "error", "pg_class", "public.locations"),
        ), in_schema=True,
    ),
    Damage(
        "a policy is gone",
        'drop policy "holders of read:diagnostics see alerts" on public.alerts',
        (
            ("access_changed", "critical", "schema", 'policy "holders of read:diagnostics see alerts" on public.alerts'),
            ("tables_granted_without_policies", "warning", "pg_class", "public.alerts"),
        ), in_schema=True,
    ),
    Damage(
        "a policy is wider",
        'alter policy "holders of read:diagnostics see findings" on public.findings using (true)',
        (
            ("access_changed", "critical", "schema", 'policy "holders of read:diagnostics see findings" on public.findings'),
        ), in_schema=True,
    ),
    Damage(
        "a grant too many",
        'grant select on public.user_profiles to anon',
        (
            ("access_changed", "critical", "schema", "grant select on table public.user_profiles to anon"),
            ("tables_granted_without_policies", "warning", "pg_class", "public.user_profiles"),
        ), in_schema=True,
    ),
    Damage(
        "a grant too few",
        'revoke execute on function public.app_config() from anon',
        (
            ("access_changed", "critical", "schema", "grant execute on function public.app_config() to anon"),
        ), in_schema=True,
    ),
    Damage(
        "a function was replaced",
        "create or replace function private.mask_phone(p_phone text) returns text language sql immutable set search_path = '' return p_phone",
        (
            ("schema_objects_changed", "error", "schema", "function private.mask_phone(p_phone text)"),
        ), in_schema=True,
    ),
    Damage(
        "a definer without a search_path",
        'alter function private.forget_images() reset search_path',
        (
            ("definers_without_search_path", "critical", "pg_proc", "private.forget_images()"),
            ("schema_objects_changed", "error", "schema", "function private.forget_images()"),
        ), in_schema=True,
    ),
    Damage(
        "a check that was dropped and never validated",
        'alter table public.alerts drop constraint times_are_counted_from_one; alter table public.alerts add constraint times_are_counted_from_one check (times > 0) not valid',
        (
            ("constraints_not_valid", "error", "pg_constraint", "times_are_counted_from_one on public.alerts"),
        ), in_schema=True,
    ),
    Damage(
        "a key without its index",
        'drop index public.alerts_acknowledged_by',
        (
            ("foreign_keys_unindexed", "warning", "pg_constraint", "alerts_acknowledged_by_fkey on public.alerts"),
            ("schema_objects_missing", "critical", "schema", "index alerts_acknowledged_by on public.alerts"),
        ), in_schema=True,
    ),
    Damage(
        "an index that failed to build",
        "update pg_index set indisvalid = false where indexrelid = 'public.findings_resolved_at'::regclass",
        (
            ("indexes_invalid", "error", "pg_index", "public.findings_resolved_at"),
        ), in_schema=True,
    ),
    Damage(
        "a job is gone",
        "delete from public.scheduled_jobs where name = 'run_scheduled_checks'",
        (
            ("schema_objects_missing", "critical", "schema", "row public.scheduled_jobs run_scheduled_checks"),
        ), in_schema=True,
    ),
    Damage(
        "a default is gone",
        'alter table public.bookings alter column status drop default',
        (
            ("schema_objects_missing", "critical", "schema", "default public.bookings.status"),
        ), in_schema=True,
    ),
    Damage(
        "a column need not be filled in",
        'alter table public.locations alter column name drop not null',
        (
            ("schema_objects_missing", "critical", "schema", "not_null public.locations.name"),
        ), in_schema=True,
    ),
]  # fmt: skip
