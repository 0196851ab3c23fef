internal import IR

/// What recurrent layers keep of a sequence, whatever its length: F32, one state per sequence and layer.
///
/// Mamba and Mamba-2 keep the last inputs of the convolution and the state itself, RWKV the shifted tokens and a matrix
/// per head, LFM2 only its short convolution's inputs. Keys are GGUF's (`ssm.conv_kernel`).
struct RecurrentState {
  /// Which ones.
  let layers: [Int]
  /// Elements of the convolution's or token shift's history, per layer.
  let history: Formula?
  /// Elements of the state proper.
  let state: Formula?

  /// Nil for a model without recurrent layers.
  init?(of model: ModelShape) throws(FootprintError) {
    let counts = try AttentionLayer.headCounts(of: model)
    layers = counts.indices.filter { counts[$0] == 0 }
    let integer = { (name: String) in model.hyperparameters.integer(name) ?? 0 }
    let width = try model.input("width", "embedding_length")
    guard !layers.isEmpty else { return nil }
    if integer("wkv.head_size") > 0 {
      history = Formula("shifted tokens", max(1, model.hyperparameters.integer("token_shift_count") ?? 2)) * width
      state = width * Formula("headSize", integer("wkv.head_size"))
    } else if integer("shortconv.l_cache") > 0 {
      history = Formula("shortConvolution − 1", integer("shortconv.l_cache") - 1) * width
      state = nil
    } else if integer("ssm.state_size") > 0 {
      let inner = Formula("inner", integer("ssm.inner_size"))
      let size = Formula("state", integer("ssm.state_size"))
      let groups = Formula("groups", integer("ssm.group_count"))
      history = Formula("convolution − 1", max(0, integer("ssm.conv_kernel") - 1)) * (inner + 2 * groups * size)
      state = size * inner
    } else {
      return nil
    }
  }

  func items(
    _ request: FootprintRequest, of isCounted: (Int) -> Bool = { _ in true }
  ) throws(FootprintError) -> [FootprintItem] {
    let count = layers.reduce(0) { isCounted($1) ? $0 + 1 : $0 }
    guard count > 0 else { return [] }
    let each = Formula("batch", request.batch) * Formula("recurrent layers", count)
    var items: [FootprintItem] = []
    for (name, elements) in [("convolution history F32", history), ("recurrent states F32", state)] {
      guard let elements else { continue }
      items.append(try FootprintItem(.kvCache, name, each * elements * Formula("F32 bytes", 4)))
    }
    return items
  }
}
