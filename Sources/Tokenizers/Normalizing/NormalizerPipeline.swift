internal import IR

/// Normalization compiled. Text that is already normal is returned as it is.
struct NormalizerPipeline: Sendable {
  private var forms: [NormalizationForm] = []

  init(_ steps: [TokenizerModel.Normalizer]) throws(TokenizerError) {
    for (index, step) in steps.enumerated() {
      switch step {
      case .nfc: forms.append(.nfc)
      case .nfd: forms.append(.nfd)
      default: throw .unsupported(path: "normalizer[\(index)]", "\(step)")
      }
    }
  }

  func normalized(_ text: [UInt8]) throws(TokenizerError) -> [UInt8] {
    var text = text
    for form in forms { text = form.applied(to: text) }
    return text
  }
}
