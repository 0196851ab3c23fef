import Bytes
import Catalog
import IR
import Testing

func llama() throws -> ArchitectureDescriptor { try #require(try Catalog().architecture(family: "llama")) }

func configuration(_ text: String) throws -> JSONObject { try #require(try JSONValue.parse(Array(text.utf8)).object) }

/// A config.json of a small Llama with `changes` (members of an object, without its braces) put last.
func small(_ changes: String = "") throws -> JSONObject {
  var result = try configuration(
    """
    {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 320, "hidden_size": 64,
     "intermediate_size": 160, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 256}
    """)
  for member in try configuration("{" + changes + "}").members { result[member.key] = member.value }
  return result
}

func hyperparameters(_ changes: String = "", tensors: [ByteString: Shape]? = nil) throws -> Hyperparameters {
  try llama().readHyperparameters(from: .huggingFace(try small(changes)), tensors: tensors)
}

/// A tensor without bytes.
func tensor(_ name: String, _ dimensions: [Int], _ format: BlockFormat = .f32) throws -> TensorRef {
  TensorRef(
    name: ByteString(name), shape: try #require(Shape(dimensions)), format: format,
    source: MemoryTensorSource(bytes: [], rowByteCount: 0))
}
