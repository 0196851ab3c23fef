// placeholder: the Codecs layer
