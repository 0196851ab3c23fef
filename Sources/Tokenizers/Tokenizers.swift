// placeholder: the Tokenizers layer
