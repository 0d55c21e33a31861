"""What goes wrong without the guards of moved payments. The names of the rows are those of sample.py."""

from __future__ import annotations

from tests.support.guards import works

REFUSED = {"private.payment_moves.moves_to_another_row": "update private.payment_moves set to_id = from_id"}

BO = "(select id from public.user_profiles where full_name = 'Bo Buyer')"
LINES = f"public.payment_items i join public.payments p on p.id = i.payment_id where p.payer_id = {BO}"

SCENARIOS = [
    works(
        "private.payment_moves.t50_move",
        f"insert into private.payment_moves (source_table, from_id, to_id) select 'package_purchases', min(i.source_id::text)::uuid, max(i.source_id::text)::uuid from {LINES}",
        f"select array_agg(i.amount) = '{{130}}' from {LINES}",
    ),
]
