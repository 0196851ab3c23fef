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
      ("openai-gpt", 116_534_784), ("bert-base", 109_482_240), ("bert-large-uncased", 335_141_888),
      ("roberta-base", 124_645_632),
      ("t5-11b", 11_307_321_344), ("flan-t5-xxl", 11_135_332_352), ("pangu-alpha-200b", 206_861_008_896),
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
