public import Bytes
public import Catalog
public import IR
public import SystemPackage

/// A checkpoint and, where its family is known, the model in it. Without a family tensors keep the file's own names: they
/// can be listed, compared and written to another container, and nothing that needs to know what they mean.
public enum OpenedCheckpoint: Sendable {
  case model(OpenedModel)
  /// `reason` says why no family matched.
  case tensors(Checkpoint, reason: ConversionError)

  /// Opens and recognises; a known family's tensors must then be complete.
  public init(_ path: FilePath, catalog: Catalog, limits: Limits = Limits()) throws(ConversionError) {
    let checkpoint = try Checkpoint(path, limits: limits)
    do throws(ConversionError) {
      self = .model(try OpenedModel(checkpoint, catalog: catalog))
    } catch {
      guard error.saysNoFamily || !checkpoint.container.hasHuggingFaceNames && checkpoint.container != .gguf,
        checkpoint.container != .configuration
      else { throw error }
      self = .tensors(checkpoint, reason: error)
    }
  }

  public var checkpoint: Checkpoint {
    switch self {
    case .model(let opened): opened.checkpoint
    case .tensors(let checkpoint, _): checkpoint
    }
  }

  /// Under canonical names, or the file's own.
  public var model: Model {
    switch self {
    case .model(let opened): opened.model
    case .tensors(let checkpoint, _):
      Model(
        family: "", hyperparameters: Hyperparameters(), tensors: checkpoint.tensors, metadata: checkpoint.metadata,
        configuration: checkpoint.configuration)
    }
  }

  public var opened: OpenedModel? { if case .model(let opened) = self { opened } else { nil } }
}

extension ConversionError {
  /// The checkpoint is sound, and of no family in the catalog.
  var saysNoFamily: Bool {
    switch self {
    case .unrecognized: true
    case .catalog(_, .unknownFamily): true
    default: false
    }
  }
}
