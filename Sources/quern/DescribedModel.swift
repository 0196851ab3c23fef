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
    guard exists || text.contains("/") || text.hasSuffix(".gguf") || text.hasSuffix(".json") else {
      let networks = try usage { () throws(FootprintError) in try ConvolutionalNetwork.names() }
      let nearest = UsageMessage.nearest(to: text.lowercased(), among: released.names + networks, count: 6)
      throw UsageError(
        "'\(text)' is neither a file nor a model known by name; the nearest names are: \(nearest.joined(separator: ", "))"
      )
    }
    model = try Self.open(FilePath(text))
  }

  /// A GGUF file says enough even where no descriptor knows its family, or knows it only without experts.
  private static func open(_ path: FilePath) throws -> Model {
    do {
      return try OpenedModel(path).model
    } catch let error as ConversionError {
      guard case .catalog(_, let problem) = error, let checkpoint = try? Checkpoint(path),
        checkpoint.container == .gguf,
        let architecture = checkpoint.metadata["general.architecture"]?.string?.text
      else { throw error }
      let expertCount = checkpoint.metadata[ByteString(architecture + ".expert_count")]?.int ?? 0
      switch problem {
      case .unknownFamily where !checkpoint.tensors.isEmpty: break
      case .leftovers where expertCount > 0: break
      default: throw error
      }
      return Model(undescribed: architecture, metadata: checkpoint.metadata, tensors: checkpoint.tensors)
    }
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
