"""The dashboard: one page that a node serves of itself and its cluster, and the stream of figures that keeps it alive."""
