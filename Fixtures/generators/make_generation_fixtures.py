"""Writes tiny T5 and BART models with tokenizers, and what transformers answers with them, greedily.

    python make_generation_fixtures.py       (torch, transformers 5, tokenizers)

Fixtures/generation/{t5,bart}: random models whose tokens follow each other in long cycles, with a SentencePiece-like
unigram tokenizer and a byte-level one trained on the King James Bible. answers.json: prompts and the ids that follow
decoder_start_token_id, without the end-of-sequence token. BART's generation_config.json forces the first one, as
bart-large-cnn's does.
"""

import json
import pathlib
import shutil

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEXT = str(ROOT / "models" / "kjv-llama" / "calib.txt")
PROMPTS = [
    "In the beginning God created the heaven and the earth.", "summarize: And the evening and the morning were the first day.",
    "Jesus wept.", "And it came to pass,  that the waters\nprevailed 150 days!", "Who is on the LORD's side? \u00c9lie, \u4e2d",
]
NEW = 24


def unigram():
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("\n", " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", "always", True)
    made.decoder = decoders.Metaspace("\u2581", "always", True)
    made.train([TEXT], trainers.UnigramTrainer(
        vocab_size=400, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def byte_level():
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train([TEXT], trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>", mask_token="<mask>")


def randomise(model):
    """What the blocks add outweighs the embeddings, so that no token answers itself for ever."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.dim() > 1:
                embedding = "shared" in name or "embed" in name
                value.copy_(torch.randn_like(value) * (0.5 if embedding else 3 * value.shape[-1] ** -0.5))
            elif "norm" in name and name.endswith("weight"):
                value.copy_(1 + 0.2 * torch.randn_like(value))
            else:
                value.copy_(0.3 * torch.randn_like(value))


def t5(words):
    model = T5ForConditionalGeneration(T5Config(
        vocab_size=words, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu",
        tie_word_embeddings=True, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1))
    return model


def bart(words):
    model = BartForConditionalGeneration(BartConfig(
        vocab_size=words, d_model=32, encoder_ffn_dim=64, decoder_ffn_dim=64, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=4, decoder_attention_heads=4, max_position_embeddings=160, decoder_start_token_id=2,
        pad_token_id=1, bos_token_id=0, eos_token_id=2, forced_eos_token_id=2))
    model.generation_config.forced_bos_token_id = 0
    model.generation_config.forced_eos_token_id = 2
    return model


def main():
    answers = {}
    for name, tokenizer, make in (("t5", unigram(), t5), ("bart", byte_level(), bart)):
        torch.manual_seed(11)
        model = make(len(tokenizer)).eval()
        randomise(model)
        folder = ROOT / "generation" / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        rows = []
        for prompt in PROMPTS:
            ids = tokenizer(prompt, return_tensors="pt").input_ids
            made = model.generate(input_ids=ids, max_new_tokens=NEW, num_beams=1, do_sample=False)[0].tolist()[1:]
            made = made[:NEW - 1]
            if tokenizer.eos_token_id in made:
                made = made[:made.index(tokenizer.eos_token_id)]
            rows.append(dict(prompt=prompt, input_ids=ids[0].tolist(), tokens=made))
            print(name, made)
        answers[name] = rows
    (ROOT / "generation" / "answers.json").write_text(json.dumps(answers, indent=1) + "\n")


main()
