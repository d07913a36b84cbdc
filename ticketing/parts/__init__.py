"""The store of spare parts: what there is, of which lot and supplier, what a ticket took and put back."""
