using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>A model folder opened for use: the model, its tokenizer, and an adapter if one was named.</summary>
public sealed class ModelFolder : IDisposable
{
    private readonly Lazy<ITokenizer> _tokenizer;

    private ModelFolder(string path, LlamaModel model, HuggingFaceCheckpoint checkpoint)
    {
        (Path, Model, Checkpoint) = (path, model, checkpoint);
        _tokenizer = new Lazy<ITokenizer>(LoadTokenizer);
    }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>The model.</summary>
    public LlamaModel Model { get; }

    /// <summary>The files it was made from.</summary>
    public HuggingFaceCheckpoint Checkpoint { get; }

    /// <summary>The tokenizer, read at first use.</summary>
    /// <exception cref="UserErrorException">The folder has none, or it does not fit the model.</exception>
    public ITokenizer Tokenizer => _tokenizer.Value;

    /// <summary>BOS as the model's configuration names it, else the tokenizer's.</summary>
    public int? BosId => Model.Config.BosId ?? Tokenizer.BosId;

    /// <summary>Tokens that end a generated text.</summary>
    public IReadOnlyList<int> EosIds => Checkpoint.EosIds;

    /// <summary>Opens a folder, dense or quantised in the layout of GPTQ, AWQ or bitsandbytes.</summary>
    /// <param name="folder">With <c>config.json</c>, safetensors and, for texts, a tokenizer.</param>
    /// <param name="adapter">PEFT folder to load, or null.</param>
    /// <param name="trainable">The adapter's matrices become parameters.</param>
    /// <param name="dropout">Replaces the adapter's dropout.</param>
    /// <exception cref="UserErrorException">Files are missing, damaged, or do not fit together.</exception>
    public static ModelFolder Open(string folder, string? adapter = null, bool trainable = false, double? dropout = null)
    {
        HuggingFaceCheckpoint checkpoint = HuggingFaceCheckpoint.Open(folder);
        try
        {
            checkpoint.CheckFinite();
            LlamaModel model = new(checkpoint.Config, new CheckpointWeights(checkpoint));
            if (adapter is not null)
            {
                LoraInjection.Load(model, adapter, trainable, dropout);
            }

            return new ModelFolder(folder, model, checkpoint);
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>Closes the files.</summary>
    public void Dispose() => Model.Dispose();

    private ITokenizer LoadTokenizer()
    {
        ITokenizer tokenizer = TokenizerFile.Load(Path);
        return tokenizer.VocabularySize <= Model.Config.VocabularySize
            ? tokenizer
            : throw new UserErrorException(
                $"The tokenizer in {Path} has {tokenizer.VocabularySize} tokens but the model has embeddings for {Model.Config.VocabularySize}; use the tokenizer that came with the model.");
    }
}
