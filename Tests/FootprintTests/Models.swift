import Bytes
import Catalog
import Footprint
import IR

/// Configurations of released checkpoints, as their config.json says it.
enum Configurations {
  static let smolLM2 = """
    {"model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9,
     "num_key_value_heads": 3, "intermediate_size": 1536, "vocab_size": 49152, "max_position_embeddings": 8192,
     "tie_word_embeddings": true}
    """
  static let llama2 = """
    {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
     "intermediate_size": 11008, "vocab_size": 32000, "max_position_embeddings": 4096}
    """
  static let llama3 = """
    {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
     "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 131072}
    """
}

func shape(_ configuration: String, _ format: BlockFormat = .f16) throws -> ModelShape {
  guard let object = try JSONValue.parse(Array(configuration.utf8)).object else { throw NotAnObject() }
  let architecture = try Catalog().architecture(configuration: object)
  let hyperparameters = try architecture.readHyperparameters(from: .huggingFace(object), tensors: nil)
  return try ModelShape(architecture, hyperparameters: hyperparameters, format: format)
}

struct NotAnObject: Error {}

/// Every matrix in one type, vectors in F32: what llama.cpp calls a pure quantization.
func pure(_ format: BlockFormat) -> ModelShape.FormatChoice {
  { _, shape, _ in shape.dimensions.count > 1 ? format : .f32 }
}

/// Where Fixtures/ is: this file lies in Tests/FootprintTests.
let repositoryRoot = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }

func llamaCpp(context: Int) throws -> FootprintRequest {
  FootprintRequest(context: context, profile: try RuntimeProfile.named("llama.cpp"))
}
