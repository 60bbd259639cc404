"""What this plugin offers. Read at discovery: keep Keras out."""
