"""Trains tiny tokenizers of the other kinds and writes them with texts and ids (pip install tokenizers==0.23.3).

    python3 Fixtures/generators/tokenizer_kinds.py TEXT

TEXT is any English text, here the King James Bible (public domain). Writes Fixtures/tokenizers/{llama2,mistral,bert,
unigram}/tokenizer.json and Fixtures/tokenizers/kinds.json.
"""
import json
import os
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizer_fixtures import texts, write

MARK = "\u2581"
BYTES = [f"<0x{b:02X}>" for b in range(256)]


def llama(prefix_by_metaspace):
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace(MARK, "always", True)
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=["<unk>", "<s>", "</s>"] + BYTES, show_progress=False, limit_alphabet=60)
    t.train([sys.argv[1]], trainer)
    d = json.loads(t.to_str())
    d["added_tokens"] = [a for a in d["added_tokens"] if a["id"] < 3]
    # As SentencePiece merges: any two symbols that spell a token, the earlier token first.
    vocab = {piece: i for piece, i in d["model"]["vocab"].items() if i >= 259}
    d["model"]["merges"] = [
        [piece[:cut], piece[cut:]] for piece, _ in sorted(vocab.items(), key=lambda item: item[1])
        for cut in range(1, len(piece)) if piece[:cut] in vocab and piece[cut:] in vocab]
    if prefix_by_metaspace:
        d["pre_tokenizer"] = {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "first", "split": False}
    else:
        d["pre_tokenizer"] = None
        d["normalizer"] = {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": MARK}, {"type": "Replace", "pattern": {"String": " "}, "content": MARK}]}
    d["decoder"] = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": MARK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    t = Tokenizer.from_str(json.dumps(d))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return t


def bert():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t.train([sys.argv[1]], trainers.WordPieceTrainer(vocab_size=700, special_tokens=special, show_progress=False))
    t.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return t


def unigram():
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()])
    t.pre_tokenizer = pre_tokenizers.Metaspace(MARK, "always", True)
    t.train([sys.argv[1]], trainers.UnigramTrainer(
        vocab_size=700, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
    t.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return t


def main():
    rows = {}
    extra = ["In the beginning God created the heaven", "And  he   said , Let there be", " x", "  ", "<s>And</s> it", "unbelievable" * 20]
    for name, t in [("llama2", llama(False)), ("mistral", llama(True)), ("bert", bert()), ("unigram", unigram())]:
        os.makedirs(f"Fixtures/tokenizers/{name}", exist_ok=True)
        t.save(f"Fixtures/tokenizers/{name}/tokenizer.json", pretty=False)
        rows[name] = [{"text": x, "ids": t.encode(x).ids} for x in texts(60, 3) + extra]
    write("kinds", rows)


if __name__ == "__main__":
    main()
