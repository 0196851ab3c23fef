import Catalog
import IR

extension TransformerConfiguration {
  /// The configuration of a model whose blocks the calibration's own forward pass computes: Llama's. Others are refused,
  /// since their inputs would be wrong without a sign of it.
  init(calibrating hyperparameters: Hyperparameters, graph: Graph) throws(CatalogError) {
    try self.init(hyperparameters, graph: graph)
    let scale = attentionScale ?? 1 / Double(keyLength).squareRoot()
    let hindrances: [(String, Bool)] = [
      ("one whose blocks are not Llama's", !graph.isLlamas || usesParallelResidual || latentLength != nil),
      ("a mixture of experts", experts != nil),
      ("one with scaled embeddings or residuals", embeddingScale != 1 || residualScale != 1 || logitScale != 1),
      ("one with soft caps", attentionSoftcap != nil || logitSoftcap != nil),
      ("one whose layers differ in their windows", slidingWindows != nil && slidingWindow == nil),
      ("one whose scores are scaled", abs(scale * Double(keyLength).squareRoot() - 1) > 1e-6 || attentionFactor != 1),
    ]
    if let hindrance = hindrances.first(where: \.1) {
      throw .invalidHyperparameter(
        name: "a model to calibrate", key: "a model to calibrate", found: "\(hindrance.0) yet; leave --calibrate away")
    }
  }
}
