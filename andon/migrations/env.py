"""How Alembic reaches a store: on the connection it is given, or by printing the statements for a dialect."""

from alembic import context

from andon.schema import METADATA, compared

config = context.config
connection = config.attributes.get("connection")
if connection is None:
    context.configure(dialect_name=config.attributes["dialect"], target_metadata=METADATA, literal_binds=True)
else:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        render_as_batch=True,
        include_object=compared,
    )
with context.begin_transaction():
    context.run_migrations()
