"""What transformers puts into the gaps of reactions with rxnmapper's ALBERT: writes Fixtures/real/rxnmapper.json.

    make models
    python rxnmapper_answers.py          (torch, transformers)

Reactions as SMILES, some from the tests of the package rxnmapper (MIT); in each every ninth token is a gap in turn. The
tokens are those of the package's own tokenizer: its regular expression, and the line of vocab.txt. Checked by
Tests/Peers/check_rxnmapper.py and by the tests, where Models/rxnmapper is there.
"""

import json
import pathlib
import re

import torch
from transformers import AlbertForMaskedLM

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "Models" / "rxnmapper"
# rxnmapper/smiles_utils.py
PATTERN = re.compile(
    r"(\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>>?|\*|\$|\%[0-9]{2}|[0-9])")
REACTIONS = [
    "CC(C)S.CN(C)C=O.Fc1cccnc1F.O=C([O-])[O-].[K+].[K+]>>CC(C)Sc1ncccc1F",
    "C1COCCO1.CC(C)(C)OC(=O)CONC(=O)NCc1cccc2ccccc12.Cl>>O=C(O)CONC(=O)NCc1cccc2ccccc12",
    "C=CCN=C=S.CNCc1ccc(C#N)cc1.NNC(=O)c1cn2c(n1)CCCC2>>C=CCN1C(C2=CN3CCCCC3=N2)=NN=C1N(C)CC1=CC=C(C#N)C=C1",
    "CC[O-]~[Na+].BrCC.[Na+]~[H-]>>CCOCC",
    "CC(=O)OC(C)=O.Oc1ccccc1C(=O)O>>CC(=O)Oc1ccccc1C(=O)O",
    "OB(O)c1ccccc1.Brc1ccncc1.[Pd]>>c1ccc(-c2ccncc2)cc1",
    "C[C@H](N)C(=O)O.CC(C)(C)OC(=O)OC(=O)OC(C)(C)C>>C[C@H](NC(=O)OC(C)(C)C)C(=O)O",
    "O=[N+]([O-])c1ccc(F)cc1.C1CCNCC1>>O=[N+]([O-])c1ccc(N2CCCCC2)cc1",
]


def main():
    words = (MODEL / "vocab.txt").read_text().splitlines()
    numbers = {word: number for number, word in enumerate(words)}
    model = AlbertForMaskedLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    answers = []
    for reaction in REACTIONS:
        tokens = PATTERN.findall(reaction)
        assert "".join(tokens) == reaction
        for start in (2, 5):
            gaps = list(range(start, len(tokens), 9))
            masked = ["[MASK]" if place in gaps else token for place, token in enumerate(tokens)]
            ids = [numbers.get(token, numbers["[UNK]"]) for token in ["[CLS]", *masked, "[SEP]"]]
            with torch.no_grad():
                probabilities = model(input_ids=torch.tensor([ids])).logits[0].softmax(-1)
            found = []
            for place in gaps:
                best = probabilities[place + 1].topk(5)
                found.append(dict(position=place + 1, ids=best.indices.tolist(),
                                  probabilities=[round(value, 6) for value in best.values.tolist()]))
            answers.append(dict(text="".join(masked), ids=ids, gaps=found))
    lines = ",\n".join(json.dumps(answer) for answer in answers)
    (ROOT / "Fixtures" / "real" / "rxnmapper.json").write_text(f"[\n{lines}\n]\n")
    print(len(answers), "texts,", sum(len(answer["gaps"]) for answer in answers), "gaps")


main()
