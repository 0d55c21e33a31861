"""What goes wrong without each guard of notifications. The rows are those of sample_messages.py."""

from __future__ import annotations

from tests.support.guards import guards
from tests.support.stage import Stage

MEMBER = "(select min(recipient_id::text)::uuid from public.notifications where kind = 'stage_call')"
TOLD = "update public.notifications set {} where kind = 'stage_call'"
TELL = "insert into public.notifications (recipient_id, kind, title, body{}) select " + MEMBER + ", 'stage_call', {}"

REFUSED = {
    "public.notification_kinds.name_is_snake_case": (
        "insert into public.notification_kinds (name, module, description) values ('The news', 'x', 'x')"
    ),
    "public.notification_kinds.channels_reach_people": (
        "update public.notification_kinds set default_channels = '{webhook}' where name = 'stage_call'"
    ),
    "public.notifications.title_is_one_line": TELL.format("", "' ', 'News'"),
    "public.notifications.body_is_bounded": TOLD.format("body = ''"),
    "public.notifications.source_is_named": TELL.format(", source_id", "'News', 'News', '7'"),
    "public.notifications.t10_keep_words": TOLD.format("body = 'Something else.'"),
    "public.notification_preferences.channel_reaches_people": (
        "update public.notification_preferences set channel = 'webhook' where kind = 'stage_call'"
    ),
}


@guards("public.notifications.t10_clean")
def a_line_break_stops_nothing(stage: Stage) -> None:
    stage.db.execute(TELL.format("", "E'One\\nTwo', 'News'").encode())


@guards("public.notifications.t50_queue")
def it_leaves_the_house(stage: Stage) -> None:
    stage.db.execute("update public.settings set value = 'true' where key = 'send_email'")
    stage.db.execute(TELL.format("", "'Heard this?', 'News'").encode())
    queued = stage.db.execute("select count(*) from public.outbox where subject = 'Heard this?'").fetchone()
    assert queued == (1,)


@guards("public.outbox.t20_know_recipient")
def it_is_known_whose_it_is(stage: Stage) -> None:
    member = stage.people["member"]
    stage.db.execute(
        "insert into public.outbox (channel, recipient, subject, body, kind) values ('email', %s, 'Hm', 'News', 'news')",
        [member.email],
    )
    found = stage.db.execute("select profile_id from public.outbox where subject = 'Hm'").fetchone()
    assert found == (member.profile_id,)
