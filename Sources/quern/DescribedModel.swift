import Bytes
import Catalog
import Conversion
import Footprint
import IR
import SystemPackage

/// A model that is described, not necessarily there: a checkpoint's headers, a config.json, or a released model's name.
struct DescribedModel {
  let title: String
  let model: Model

  /// A path that exists is opened; anything else is looked up as a name.
  init(_ text: String) throws {
    title = text
    let exists = FileSystem.exists(FilePath(text))
    let released = try ReleasedModels(Catalog())
    if !exists, let found = try released.model(named: text) {
      let source = NoWeights(name: found.name)
      model = Model(
        family: found.family, hyperparameters: found.hyperparameters,
        tensors: found.tensors.map { TensorRef(name: $0.name, shape: $0.shape, format: found.format, source: source) })
      return
    }
    guard exists || text.contains("/") || text.contains(".") else {
      throw UsageError(
        "'\(text)' is neither a file nor a model known by name; known are: \(released.names.joined(separator: ", "))")
    }
    model = try OpenedModel(FilePath(text)).model
  }
}

/// Stands for the weights of a model that is only a name.
private struct NoWeights: TensorSource {
  let name: String

  func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    throw .system(
      operation: "read weights (only the name is known)", path: FilePath(name), errno: .noSuchFileOrDirectory)
  }
}
