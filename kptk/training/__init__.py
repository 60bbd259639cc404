"""Everything that needs Keras: the only folder of the core that imports it (beside the public test kit)."""
