import Bytes
import Catalog
import ContainerTesting
import IR
import Testing

@Suite struct ReleasedModelTests {
  @Test("every checkpoint's tensors add up to the stated count")
  func counts() throws {
    let checkpoints = try ReleasedModels(Catalog()).all()
    #expect(checkpoints.count >= 60)
    for checkpoint in checkpoints {
      #expect(checkpoint.parameterCount == checkpoint.statedParameterCount, "\(checkpoint.name)")
      #expect(Set(checkpoint.tensors.map(\.name)).count == checkpoint.tensors.count, "\(checkpoint.name)")
      #expect(checkpoint.hyperparameters.integer("block_count") != nil, "\(checkpoint.name)")
      #expect(!checkpoint.source.isEmpty)
    }
  }

  @Test(
    "published counts",
    arguments: [
      ("llama-2-7b", 6_738_415_616), ("Llama-2-70B", 68_976_648_192), ("meta-llama/Llama-2-13b-hf", 13_015_864_320),
      ("llama-7b", 6_738_415_616), ("LLaMA-65B", 65_285_660_672), ("chatglm-6b", 6_173_286_400),
      ("chatglm2-6b", 6_243_584_000),
      ("THUDM/glm-4-9b", 9_399_951_360), ("qwen2.5-0.5b", 494_032_768), ("Qwen/Qwen2.5-7B-Instruct", 7_615_616_512),
      ("qwen3-8b", 8_190_735_360), ("qwen3-235b-a22b", 235_093_634_560), ("mixtral-8x7b", 46_702_792_704),
      ("deepseek-v3", 671_026_419_200), ("gpt2", 124_439_808), ("gpt3-175b", 174_604_259_328),
      ("gpt-3", 174_604_259_328),
      ("openai-gpt", 116_534_784), ("GPT-1", 116_534_784), ("bert-base", 109_482_240),
      ("BERT-base-uncased", 109_482_240), ("bert-large-uncased", 335_141_888), ("roberta-base", 124_645_632),
      ("RoBERTa-large", 355_359_744), ("ALBERT-base-v2", 11_683_584), ("ALBERT-xxlarge-v2", 222_595_584),
      ("electra-small-discriminator", 13_483_008), ("electra-base-discriminator", 108_891_648),
      ("XLNet-base-cased", 116_718_336), ("XLNet-large-cased", 360_268_800), ("GPT-2 small", 124_439_808),
      ("GPT-2 medium", 354_823_168), ("GPT-2 large", 774_030_080), ("GPT-2 xl", 1_557_611_200),
      ("GPT-3 175B", 174_604_259_328), ("T5-small", 60_506_624), ("T5-base", 222_903_552), ("T5-large", 737_668_096),
      ("T5-3B", 2_851_598_336), ("t5-11b", 11_307_321_344), ("Flan-T5-small", 76_961_152),
      ("Flan-T5-base", 247_577_856), ("Flan-T5-large", 783_150_080), ("Flan-T5-xl", 2_849_757_184),
      ("flan-t5-xxl", 11_135_332_352), ("LLaMA-13B", 13_015_864_320), ("LLaMA-33B", 32_528_943_616),
      ("Qwen-7B", 7_721_324_544), ("Qwen2.5-72B", 72_706_203_648), ("Qwen3-0.6B", 596_049_920),
      ("Qwen3-4B", 4_022_468_096), ("Qwen3-32B", 32_762_123_264), ("Qwen3-30B-A3B", 30_532_122_624),
      ("pangu-alpha-2.6b", 2_625_295_360), ("pangu-alpha-13b", 12_800_870_400),
      ("pangu-alpha-200b", 206_861_008_896), ("pangu-sigma", 1_084_851_814_400),
    ])
  func published(name: String, count: Int) throws {
    let checkpoint = try #require(try ReleasedModels(Catalog()).model(named: name))
    #expect(checkpoint.parameterCount == count)
  }

  @Test("config.json of released models is accepted, and gives their numbers of parameters")
  func configurations() throws {
    let path = fixtures.appending("configurations/released.json")
    let rows = try #require(try JSONValue.parse(try InputFile.contents(of: path, limit: 1 << 20)).array)
    #expect(rows.count >= 40)
    let catalog = try Catalog()
    for row in rows {
      let name = row["name"]?.string?.text ?? ""
      let configuration = try #require(row["config"]?.object)
      let family = try catalog.architecture(configuration: configuration)
      let values = try family.readHyperparameters(from: .huggingFace(configuration), tensors: nil)
      let count = family.instances(in: values).reduce(0) { $0 + $1.shape.elementCount }
      #expect(count == row["parameters"]?.int, "\(name)")
      // What the runtime asks for is there and makes sense.
      _ = try TransformerConfiguration(values, graph: family.graph)
    }
  }

  @Test("names mean one checkpoint each; others are unknown")
  func names() throws {
    let catalog = try ReleasedModels(Catalog())
    #expect(Set(catalog.names).count == catalog.names.count)
    for unknown in ["llama-2-8b", "", "/"] {
      let found = try catalog.model(named: unknown)
      #expect(found == nil)
    }
  }
}
