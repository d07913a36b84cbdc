"""The tables of the store. What moved only grows; stock and use are its sums, kept in the transaction that moves it."""

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, String, Table, Text

from andon.database import append_only
from ticketing.sql import Serial, metadata

supplier = Table(
    "supplier",
    metadata,
    Column("code", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_zh", Text, nullable=False, server_default=""),
    Column("grade", String(1), nullable=False),
    Column("status", String(12), nullable=False, server_default="active"),
    Column("since_ns", BigInteger, nullable=False),
)
"""Who parts are bought from: grade A, B or C, and whether they may still be bought from."""

part = Table(
    "part",
    metadata,
    Column("code", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_zh", Text, nullable=False, server_default=""),
    Column("unit", String(16), nullable=False, server_default="pcs"),
    Column("min_stock", Float, nullable=False, server_default="0"),
    Column("cents", BigInteger),
    Column("barcode", String(64), nullable=False, server_default=""),
    Column("place", Text, nullable=False, server_default=""),
    Column("retired", Boolean, nullable=False, server_default="0"),
    Column("search", Text, nullable=False),
    Column("low_ns", BigInteger),
)
"""A spare part: `min_stock` is its safety stock, `cents` its price per unit (null: not known), `place` where it lies.

`low_ns`: since when its stock is below the safety stock and has been told so."""
Index("part_by_barcode", part.c.barcode)

part_model = Table(
    "part_model",
    metadata,
    Column("part", ForeignKey("part.code"), primary_key=True),
    Column("model", String(128), primary_key=True),
)
"""The models of equipment that a part fits."""
Index("part_by_model", part_model.c.model)

part_lot = Table(
    "part_lot",
    metadata,
    Column("part", ForeignKey("part.code"), primary_key=True),
    Column("lot", String(64), primary_key=True),
    Column("supplier", ForeignKey("supplier.code")),
    Column("brand", Text, nullable=False, server_default=""),
    Column("received_ns", BigInteger, nullable=False),
)
"""What came in one delivery: from whom, of which brand, when first."""
Index("lot_by_supplier", part_lot.c.supplier)

stock = Table(
    "stock",
    metadata,
    Column("part", ForeignKey("part.code"), primary_key=True),
    Column("lot", String(64), primary_key=True),
    Column("on_hand", Float, nullable=False),
    Column("reserved", Float, nullable=False),
)
"""The sum of all movements; what is reserved is of no lot yet and stands under the lot ''."""

stock_movement = Table(
    "stock_movement",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("part", ForeignKey("part.code"), nullable=False),
    Column("lot", String(64), nullable=False),
    Column("quantity", Float, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("ticket", ForeignKey("ticket.id")),
    Column("requisition", BigInteger),
    Column("asset", Text),
    Column("note", Text, nullable=False, server_default=""),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
"""What moved: `quantity` is signed, what it adds to the stock (receive, return +; issue -; adjust) or to what is reserved."""
Index("movement_by_part", stock_movement.c.part, stock_movement.c.id)
Index("movement_by_requisition", stock_movement.c.requisition)
append_only(stock_movement)

part_use = Table(
    "part_use",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("part", ForeignKey("part.code"), primary_key=True),
    Column("lot", String(64), primary_key=True),
    Column("asset", Text, nullable=False),
    Column("quantity", Float, nullable=False),
    Column("cents", BigInteger),
    Column("at_ns", BigInteger, nullable=False),
)
"""What a ticket's work used: issued less what came back, of that lot; no row where all came back.

`cents` is what it cost at the price of the day of issue (null: no price known), `at_ns` the first issue."""
Index("use_by_asset", part_use.c.asset, part_use.c.at_ns)
Index("use_by_lot", part_use.c.part, part_use.c.lot)

store_change = Table(
    "store_change",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("thing", String(8), nullable=False),
    Column("code", String(64), nullable=False),
    Column("changes", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
"""Who changed what of a part or supplier, and when: each field as [before, after]."""
Index("change_by_code", store_change.c.thing, store_change.c.code, store_change.c.id)
append_only(store_change)
