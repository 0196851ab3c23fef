public import Bytes
public import IR
public import SystemPackage

/// Meta's own checkpoints: `consolidated.00.pth` … beside `params.json`, each holding a part of every matrix.
///
/// Column-parallel matrices (queries, keys, values, gate, up, output) are cut along their first axis, row-parallel ones
/// (attention output, down) along the second; norms stand in every part. Names and rotary order become Hugging Face's.
public struct MetaShards: Sendable {
  public let contents: ContainerContents
  /// What transformers would call the same model.
  public let configuration: JSONObject

  public static func isShard(_ name: String) -> Bool { name.wholeMatch(of: /consolidated\.\d\d\.pth/) != nil }

  /// - Parameter paths: every part, in order.
  public init(_ paths: [FilePath], parameters: JSONObject, limits: Limits = Limits()) throws(PyTorchError) {
    var files: [PyTorchFile] = []
    for path in paths { files.append(try PyTorchFile(path, limits: limits)) }
    guard let first = files.first, let path = paths.first else {
      throw .missingShards(path: FilePath("consolidated.00.pth"), names: ["consolidated.00.pth"])
    }
    guard let width = parameters["dim"]?.int, let heads = parameters["n_heads"]?.int, width > 0, heads > 0,
      width % heads == 0, (width / heads) % 2 == 0
    else { throw .invalidIndex(path: path, key: "dim", reason: "params.json does not say dim and n_heads") }
    let others = files.dropFirst().map { file in
      Dictionary(file.tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }
    var tensors: [TensorRef] = []
    for tensor in first.tensors where tensor.name != "rope.freqs" {
      var parts = [tensor]
      for (other, path) in zip(others, paths.dropFirst()) {
        guard let part = other[tensor.name], part.shape == tensor.shape, part.format == tensor.format else {
          throw .missingEntry(path: path, entry: tensor.name)
        }
        parts.append(part)
      }
      var joined = try Self.joined(parts, width: width, path: path)
      joined.name = Self.huggingFaceName(of: tensor.name)
      joined.sourceName = joined.name
      if joined.name.hasSuffix("q_proj.weight") || joined.name.hasSuffix("k_proj.weight") {
        guard joined.shape.rows % (width / heads) == 0 else {
          throw .invalidTensor(path: path, tensor: tensor.name, reason: "\(joined.shape) is no whole number of heads")
        }
        joined = joined.reorderedHeads(to: .halves, headDimension: width / heads)
      }
      tensors.append(joined)
    }
    contents = ContainerContents(
      tensors: tensors, fileByteCount: files.reduce(0) { $0 + $1.file.byteCount },
      notes: paths.count > 1 ? ["joined from \(paths.count) parts"] : [])
    configuration = Self.configuration(parameters, tensors: tensors, width: width, heads: heads)
  }

  private static func joined(_ parts: [TensorRef], width: Int, path: FilePath) throws(PyTorchError) -> TensorRef {
    guard parts.count > 1, let first = parts.first, first.shape.dimensions.count == 2 else { return parts[0] }
    let rows = first.shape.dimensions[0]
    let columns = first.shape.dimensions[1]
    var result = first
    let name = first.name
    let isRowParallel =
      name.hasSuffix("wo.weight") || name.hasSuffix("w2.weight")
      || name == "tok_embeddings.weight" && columns * parts.count == width
    guard let shape = Shape(isRowParallel ? [rows, columns * parts.count] : [rows * parts.count, columns]) else {
      throw .invalidTensor(path: path, tensor: name, reason: "too large when joined")
    }
    result.shape = shape
    result.source = isRowParallel ? ConcatenatedColumns(parts) : ConcatenatedRows(parts)
    return result
  }

  private static let parts: [(meta: String, huggingFace: String)] = [
    ("attention.wq", "self_attn.q_proj"), ("attention.wk", "self_attn.k_proj"), ("attention.wv", "self_attn.v_proj"),
    ("attention.wo", "self_attn.o_proj"), ("feed_forward.w1", "mlp.gate_proj"), ("feed_forward.w2", "mlp.down_proj"),
    ("feed_forward.w3", "mlp.up_proj"), ("attention_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm"),
  ]

  private static func huggingFaceName(of name: ByteString) -> ByteString {
    switch name {
    case "tok_embeddings.weight": return "model.embed_tokens.weight"
    case "norm.weight": return "model.norm.weight"
    case "output.weight": return "lm_head.weight"
    default: break
    }
    var text = name.text
    guard text.hasPrefix("layers.") else { return name }
    for (meta, huggingFace) in parts { text = text.replacing(".\(meta).", with: ".\(huggingFace).") }
    return ByteString("model." + text)
  }

  private static func configuration(
    _ parameters: JSONObject, tensors: [TensorRef], width: Int, heads: Int
  ) -> JSONObject {
    var result: JSONObject = [
      "architectures": .array([.text("LlamaForCausalLM")]), "model_type": .text("llama"),
      "hidden_act": .text("silu"), "hidden_size": .integer(width), "num_attention_heads": .integer(heads),
      "tie_word_embeddings": .bool(false),
    ]
    result["num_hidden_layers"] = parameters["n_layers"]
    result["num_key_value_heads"] = parameters["n_kv_heads"].flatMap { $0.isNull ? nil : $0 } ?? .integer(heads)
    result["rms_norm_eps"] = parameters["norm_eps"] ?? .number(JSONNumber(literal: "1e-05"))
    result["rope_theta"] = parameters["rope_theta"] ?? .number(JSONNumber(10000.0))
    result["max_position_embeddings"] = parameters["max_seq_len"] ?? .integer(4096)
    for tensor in tensors {
      if tensor.name == "model.embed_tokens.weight" { result["vocab_size"] = .integer(tensor.shape.rows) }
      if tensor.name == "model.layers.0.mlp.gate_proj.weight" {
        result["intermediate_size"] = .integer(tensor.shape.rows)
      }
    }
    return result
  }
}
