/// What one runtime allocates for a model. One file per law; the profile says which.
protocol RuntimeLaw {
  init(model: ModelShape, request: FootprintRequest, profile: RuntimeProfile) throws(FootprintError)
  /// The weights, which do not depend on the request's context and batch.
  func weights() throws(FootprintError) -> [FootprintItem]
  /// Everything else.
  func buffers() throws(FootprintError) -> [FootprintItem]
  /// What stays in the host's memory when the device has its own.
  func hostItems() throws(FootprintError) -> [FootprintItem]
}

extension RuntimeProfile.Law {
  var type: any RuntimeLaw.Type {
    switch self {
    case .quern: QuernLaw.self
    case .llamaCpp: LlamaCppLaw.self
    case .transformers: TransformersLaw.self
    case .vllm: VLLMLaw.self
    }
  }
}

extension RuntimeProfile {
  /// - Throws: `unsupported` where the model has weights that the runtime does not compute with.
  func checkWeights(of model: ModelShape) throws(FootprintError) {
    let packed = Set(model.tensors.lazy.compactMap(\.packed?.encoding))
    for encoding in model.encodings.subtracting(packed).sorted(by: { $0.name < $1.name }) {
      guard encoding.isPacked, !packedWeights.contains(encoding.isGGUF ? "gguf" : encoding.name.lowercased()) else {
        continue
      }
      throw .unsupported(
        what: "a matrix in \(encoding.name) in the profile \(name)",
        known: packedWeights.map { $0 == "gguf" ? "GGUF's types" : $0 } + ["16 and 32 bits"])
    }
  }
}

extension RuntimeLaw {
  func hostItems() throws(FootprintError) -> [FootprintItem] { [] }

  /// What the file holds beside the tensors, if it is known.
  func fileItems(of model: ModelShape) throws(FootprintError) -> [FootprintItem] {
    guard let bytes = model.fileOverheadByteCount else { return [] }
    return [try FootprintItem(.overhead, "metadata and tokenizer", Formula("file bytes beside the tensors", bytes))]
  }
}
