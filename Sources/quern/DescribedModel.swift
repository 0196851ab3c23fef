import Bytes
import Catalog
import Conversion
import Footprint
import IR
import Passes
import QuantizedWeights
import SystemPackage

/// A model that is described, not necessarily there: a checkpoint's headers, a config.json, or a released model's name.
struct DescribedModel {
  let title: String
  let model: Model
  /// Whether our own runtime knows the family.
  let isRunnable: Bool
  let isCausal: Bool
  /// Tensors that the file holds packed, by the file's own names.
  private let packed: [ByteString: QuantizedWeights.Stored]
  /// Of its file, beside the tensors: header, metadata, vocabulary. Nil where there is no such file.
  let fileOverheadByteCount: Int?

  /// A path that exists is opened; anything else is looked up as a name.
  init(_ text: String, _ common: CommonOptions) throws {
    title = text
    let exists = FileSystem.exists(FilePath(text))
    let catalog = try common.catalog()
    let released = try ReleasedModels(catalog)
    if !exists, let found = try released.model(named: text) {
      let source = NoWeights(name: found.name)
      model = Model(
        family: found.family, hyperparameters: found.hyperparameters,
        tensors: found.tensors.map { TensorRef(name: $0.name, shape: $0.shape, format: found.format, source: source) })
      isRunnable = catalog.knows(family: found.family)
      isCausal = found.isCausal
      fileOverheadByteCount = nil
      packed = [:]
      return
    }
    guard exists || text.contains("/") || text.hasSuffix(".gguf") || text.hasSuffix(".json") else {
      let networks = try usage { () throws(FootprintError) in try ConvolutionalNetwork.names() }
      let nearest = UsageMessage.nearest(to: text.lowercased(), among: released.names + networks, count: 6)
      throw UsageError(
        "'\(text)' is neither a file nor a model known by name; the nearest names are: \(nearest.joined(separator: ", "))"
      )
    }
    let path = FilePath(text)
    let checkpoint: Checkpoint
    do {
      let opened = try Self.open(path, catalog)
      (checkpoint, model, isRunnable) = (opened.checkpoint, opened.model, true)
      isCausal = opened.architecture.graph.kind != .encoder
    } catch let error as ConversionError {
      (checkpoint, model) = try Self.undescribed(path, despite: error)
      isRunnable = false
      isCausal = model.hyperparameters.bool("attention.causal") ?? true
    }
    fileOverheadByteCount = checkpoint.overheadByteCount(of: model)
    packed = checkpoint.packed
  }

  /// What of it its memory depends on.
  var shape: ModelShape {
    var shape = ModelShape(model) { tensor in
      packed[tensor.sourceName].map { stored in
        // A stored tensor may be one of several that make the model's, or hold several.
        let share = Double(tensor.shape.elementCount) / Double(max(1, stored.elementCount))
        return PackedEncoding(
          kind: stored.kind, bits: 8 * stored.codeByteCount / max(1, stored.elementCount),
          byteCount: Int(Double(stored.byteCount) * share))
      }
    }
    shape.isRunnable = isRunnable
    shape.isCausal = isCausal
    shape.fileOverheadByteCount = fileOverheadByteCount
    return shape
  }

  /// A directory without weights is described by its configuration.
  private static func open(_ path: FilePath, _ catalog: Catalog) throws -> OpenedModel {
    do { return try OpenedModel(path, catalog: catalog) } catch let error as ConversionError {
      let configuration = path.appending("config.json")
      guard case .unrecognized = error, FileSystem.isDirectory(path), FileSystem.exists(configuration) else {
        throw error
      }
      return try OpenedModel(configuration, catalog: catalog)
    }
  }

  /// A GGUF file says enough even where no descriptor knows its family, or knows it only without experts.
  private static func undescribed(
    _ path: FilePath, despite error: ConversionError
  ) throws -> (Checkpoint, Model) {
    guard case .catalog(_, let problem) = error, let checkpoint = try? Checkpoint(path), checkpoint.container == .gguf,
      let architecture = checkpoint.metadata["general.architecture"]?.string?.text
    else { throw error }
    let expertCount = checkpoint.metadata[ByteString(architecture + ".expert_count")]?.int ?? 0
    switch problem {
    case .unknownFamily where !checkpoint.tensors.isEmpty: break
    case .leftovers where expertCount > 0: break
    default: throw error
    }
    return (
      checkpoint, Model(undescribed: architecture, metadata: checkpoint.metadata, tensors: checkpoint.tensors)
    )
  }
}

extension Checkpoint {
  /// Of its file, beside the model's tensors; nil where they are not simply there.
  func overheadByteCount(of model: Model) -> Int? {
    let overhead = fileByteCount - model.tensorByteCount
    return container == .gguf && overhead >= 0 ? overhead : nil
  }
}

extension ConversionCost {
  /// What following a plan takes; nil for types that are not GGUF's.
  init?(of plan: QuantizationPlan, for opened: OpenedModel, threads: Int?) throws {
    guard plan.packing == nil else { return nil }
    var shape = ModelShape(opened.model).formatted(by: plan)
    shape.fileOverheadByteCount = opened.checkpoint.overheadByteCount(of: opened.model)
    let described = shape
    self = try usage { () throws(FootprintError) in
      try ConversionCost(of: described, threads: threads ?? Environment.processorCount)
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
