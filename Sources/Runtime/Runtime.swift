// placeholder: the Runtime layer
