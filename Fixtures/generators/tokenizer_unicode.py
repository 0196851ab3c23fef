"""Writes Sources/Tokenizers/Unicode/UnicodeData+Generated.swift from the Unicode Character Database.

Needs `pip install unicodedata2==16.0.0 tokenizers==0.23.3`: version 16.0 is what the `tokenizers` package (Oniguruma 6.9.10) has, found by
asking it for the category of all 1,112,064 scalars. Run from the repository root.

Categories: runs over 0...10FFFF, each a length in base 36 (lower case, left out when 1) and one letter for the category.
Normalization has the entries that the `tokenizers` package knows, which are those of Unicode 9.0: models were trained on
what it made of their text.
Decompositions: "scalar=first+second" in hexadecimal, one level, canonical only ("~": not composed again).
Compatibility: "scalar=all+of+it" where NFKD differs from NFD. Combining classes: "first-last:class".
"""
import unicodedata2 as ucd
from tokenizers import normalizers

CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%"
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
assert ucd.unidata_version == "16.0.0"


def base36(n):
    out = ""
    while n:
        out, n = DIGITS[n % 36] + out, n // 36
    return out


def runs(value):
    start, last = 0, value(0)
    for c in range(1, 0x110001):
        v = value(c) if c < 0x110000 else None
        if v != last:
            yield start, c, last
            start, last = c, v


def lines(text, width=110):
    return "\n".join("  " + text[i : i + width] + "\\" for i in range(0, len(text), width))


categories = "".join(
    (base36(end - start) if end - start > 1 else "") + LETTERS[CATEGORIES.index(category)]
    for start, end, category in runs(lambda c: ucd.category(chr(c)))
)
nfd, nfkd = normalizers.NFD(), normalizers.NFKD()


def combining(c):
    k = ucd.combining(chr(c))
    # A mark that is known is put in order among others.
    probe = "a" + chr(c) + "\u0334" if k > 1 else "a\u0301" + chr(c)
    return k if k and nfd.normalize_str(probe) == ucd.normalize("NFD", probe) else 0


decompositions = []
for c in range(0x110000):
    d = ucd.decomposition(chr(c))
    if d and not d.startswith("<") and nfd.normalize_str(chr(c)) == ucd.normalize("NFD", chr(c)):
        # Excluded from composition: singletons, and those that NFC itself takes apart.
        kind = "=" if ucd.normalize("NFC", chr(c)) == chr(c) else "~"
        decompositions.append(f"{c:X}{kind}{'+'.join(p.lstrip('0') for p in d.split())}")
compatibility = []
for c in range(0x110000):
    full = ucd.normalize("NFKD", chr(c))
    if full != ucd.normalize("NFD", chr(c)) and nfkd.normalize_str(chr(c)) == full:
        compatibility.append(f"{c:X}={'+'.join(f'{ord(p):X}' for p in full)}")
classes = [f"{s:X}-{e - 1:X}:{k}" for s, e, k in runs(combining) if k]

with open("Sources/Tokenizers/Unicode/UnicodeData+Generated.swift", "w") as out:
    out.write(f'''// Written by Fixtures/generators/tokenizer_unicode.py from the Unicode Character Database {ucd.unidata_version}.
// Its documentation says how to read the tables. Unicode data: https://www.unicode.org/license.txt

enum UnicodeData {{
  static let categoryLetters = "{LETTERS}"

  static let categories = #"""
{lines(categories).replace(chr(92), chr(92) + "#")}

  """#

  static let decompositions = #"""
{lines(" ".join(decompositions)).replace(chr(92), chr(92) + "#")}

  """#

  static let compatibility = #"""
{lines(" ".join(compatibility)).replace(chr(92), chr(92) + "#")}

  """#

  static let combiningClasses = #"""
{lines(" ".join(classes)).replace(chr(92), chr(92) + "#")}

  """#
}}
''')
