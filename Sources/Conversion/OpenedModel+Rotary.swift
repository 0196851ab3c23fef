import Bytes
import Catalog
import Glibc
import IR

extension OpenedModel {
  /// What GGUF files say about rotary positions in tensors and in a key of llama.cpp's.
  static func readRotaryTensors(
    _ checkpoint: Checkpoint, _ architecture: String, into hyperparameters: inout Hyperparameters
  ) throws {
    func numbers(_ name: String) throws -> Hyperparameters.Value? {
      guard let tensor = checkpoint.tensors.first(where: { $0.name.text == name }), tensor.format == .f32 else {
        return nil
      }
      do { return .numbers(try tensor.readAll().littleEndianFloats.map { Double($0.description) ?? Double($0) }) } catch
      {
        throw ConversionError.file(error)
      }
    }
    let kind = hyperparameters.string("rope.scaling.type")
    if kind != "llama3", let factors = try numbers("rope_freqs.weight") {
      hyperparameters["rope.frequency_factors"] = factors
    }
    for (name, tensor) in [
      ("rope.scaling.long_factors", "rope_factors_long.weight"),
      ("rope.scaling.short_factors", "rope_factors_short.weight"),
    ] where hyperparameters[name] == nil {
      if let factors = try numbers(tensor) { hyperparameters[name] = factors }
    }
    guard (hyperparameters.number("rope.scaling.attention_factor") ?? 0) == 0,
      let stated = checkpoint.metadata[ByteString("\(architecture).rope.scaling.attn_factor")]?.double, stated > 0
    else { return }
    let stretch = hyperparameters.number("rope.scaling.factor") ?? 1
    if kind == "longrope" {
      hyperparameters["rope.scaling.attention_factor"] = .number(stated)
    } else if kind == "yarn", stretch > 1 {
      // llama.cpp multiplies by 1 + log(factor) / 10 besides.
      hyperparameters["rope.scaling.attention_factor"] = .number(stated * (1 + 0.1 * log(stretch)))
    }
  }
}
