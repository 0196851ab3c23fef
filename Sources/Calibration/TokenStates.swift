import IR
import Kernels

/// The residual stream of every calibration window, kept between layers.
///
/// Memory: 4 · width bytes a token. A window's matrix may be written in place.
final class TokenStates {
  let windowCount: Int
  let tokens: Int
  let width: Int
  private let values: Matrix

  init(windowCount: Int, tokens: Int, width: Int) {
    self.windowCount = windowCount
    self.tokens = tokens
    self.width = width
    values = Matrix(rows: windowCount * tokens, columns: width)
  }

  subscript(window: Int) -> Matrix { values.rows(window * tokens..<(window + 1) * tokens) }

  /// The embeddings of all windows' tokens, each row read once.
  func fill(_ windows: [[Int]], from tensor: TensorRef, _ reader: WeightReader) throws(CalibrationError) {
    var places: [Int: [(window: Int, position: Int)]] = [:]
    for (index, window) in windows.enumerated() {
      for (position, token) in window.enumerated() { places[token, default: []].append((index, position)) }
    }
    for (token, places) in places {
      let row = try reader.matrix(tensor, rows: token..<token + 1)
      for place in places { self[place.window].rows(place.position..<place.position + 1).copy(from: row) }
    }
  }

  /// The same from the model's own embedding.
  func fill(_ windows: [[Int]], from model: Model, _ reader: WeightReader) throws(CalibrationError) {
    guard let tensor = model["token_embd.weight"] else { throw .missingTensor("token_embd.weight") }
    try fill(windows, from: tensor, reader)
  }
}
