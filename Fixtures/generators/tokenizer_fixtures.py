"""Writes Fixtures/tokenizers/*.json with what the `tokenizers` package answers (pip install tokenizers==0.23.3).

splits.json: pipelines as tokenizer.json spells them, and where they cut texts (lengths of the pieces in bytes).
kjv.json: texts and their ids under Fixtures/tokenizers/kjv/tokenizer.json.
Run from the repository root.
"""
import json
import random

from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.pre_tokenizers import PreTokenizer

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACES
QWEN2 = LLAMA3.replace("{1,3}", "")
GPT4O = "|".join(
    [rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTIONS}?", rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTIONS}?",
     r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", SPACES])
DEEPSEEK3 = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|""" + SPACES


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def byte_level(regex, prefix=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


PIPELINES = {
    "gpt2": byte_level(True),
    "smollm": sequence({"type": "Digits", "individual_digits": True}, byte_level(True)),
    "llama3": sequence(split(LLAMA3), byte_level(False)),
    "qwen2": sequence(split(QWEN2), byte_level(False)),
    "gpt4o": sequence(split(GPT4O), byte_level(False)),
    "deepseek3": sequence(split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK3), byte_level(False)),
    "falcon": sequence(
        {"type": "Punctuation", "behavior": "Contiguous"}, byte_level(True), {"type": "Digits", "individual_digits": False},
        split("[0-9][0-9][0-9]")),
    "superbpe": sequence(split(r"\p{N}+"), split(r"(?=(\d{3})+(?!\d))"), byte_level(False)),
    "tiny_aya": sequence(split(r"\d{1,3}(?=(?:\d{3})*\b)"), byte_level(False)),
    "merged_previous": split(r"\p{P}", "MergedWithPrevious"),
    "merged_next": split(r"\p{P}", "MergedWithNext"),
    "contiguous": split(r"\p{P}", "Contiguous"),
    "inverted": split(r"\p{L}+", "Isolated", True),
    "bailing": split(r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"),
    "lazy": split(r"a+?b|\w*?\s|(?<=[a-z])[A-Z]|(?<!\d)7|(?>x+)y|^#|;$"),
    "intersection": split(r"[\p{L}&&[^a-zé]]+|[[:punct:]]|\P{L}{2}|\p{^Nd}"),
}

ALPHABETS = [
    "abcdefghij", "ABCXYZ", "'sSdtmlLvVrReE", "0123456789", " ", "  \t", "\n", "\r\n", ".,;:!?-_()[]{}\"'`~@#$%^&*+=<>/\\|",
    "éèüößñÅŁžſ", "ǅǈ", "漢字中文字符", "ひらがなカタカナー", "한국어 조선", "א־בּגְדָ", "العربيةَُِ", "ไทยแม่น้ำ", "हिन्दीक्षि", "ខ្មែរ", "😀🎉👍🏽👨‍👩‍👧🇫🇮✅️",
    "\u0301\u0308\u0327\u20dd", "½¼²³①Ⅷ٣४๕", "\u00a0\u2003\u3000\u200b\ufeff\u2028\x85\x0b\x0c", "𝔘𝕟𝒾𐐀𞥃", "\x00\x01\x7f\u00ad", "ΑΒΓαβγМоскваԱԲ",
    "ªºʰʱ", "€£¥₽∑∞≠→", "\U000e0001\U0010ffff\ue000\u0378",
]


def texts(count, seed):
    rng = random.Random(seed)
    result = [
        "", " ", "\n", "Hello world", "I'm don't WE'LL they'Ve 'tis ' s", "  leading and trailing   ", "a\n\nb \n c\r\n\r\nd\t\te",
        "12 123 1234567 3.14 1,000 x86_64", "HTTPServer iPhone ÉCOLE ǅungla straße 'ſ 'ſt K's", "#a\n#b;\nc;",
        "aaab xxy xxxz 7 17 aB", "１２３ ﬁ ﷺ",
    ]
    while len(result) < count:
        parts = []
        for _ in range(rng.randint(1, 14)):
            alphabet = rng.choice(ALPHABETS)
            parts.append("".join(rng.choice(alphabet) for _ in range(rng.randint(1, 5))))
        result.append("".join(parts))
    return result


def write(name, value):
    with open(f"Fixtures/tokenizers/{name}.json", "w", encoding="utf-8") as out:
        json.dump(value, out, ensure_ascii=True, separators=(",", ":"))
        out.write("\n")


def cuts(steps, text, is_spelled):
    # After ByteLevel a piece has one character for each byte (and may end inside a character, which offsets do not
    # show); without it we count the bytes of what the offsets span.
    pieces = steps.pre_tokenize_str(text)
    return [len(piece) if is_spelled else len(text[a:b].encode()) for piece, (a, b) in pieces if b > a]


def main():
    all_texts = texts(150, 1)
    out = {"texts": all_texts, "pipelines": {}}
    base = json.loads(Tokenizer.from_file("Fixtures/tokenizers/kjv/tokenizer.json").to_str())
    for name, description in PIPELINES.items():
        base["pre_tokenizer"] = description
        steps = Tokenizer.from_str(json.dumps(base)).pre_tokenizer
        out["pipelines"][name] = {"description": description, "cuts": [cuts(steps, t, "ByteLevel" in json.dumps(description)) for t in all_texts]}
    write("splits", out)

    kjv = Tokenizer.from_file("Fixtures/tokenizers/kjv/tokenizer.json")
    some = texts(120, 2) + [
        "In the beginning God created the heaven and the earth.\n", "<|endoftext|>And<|endoftext|><|endoftext|> it", "<|endoftext",
        "abcdefgh" * 40, "the " * 30, "\n" * 100,
    ]
    write("kjv", [{"text": t, "ids": kjv.encode(t, add_special_tokens=False).ids} for t in some])


if __name__ == "__main__":
    main()
