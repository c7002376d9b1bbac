using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// A folder with <c>config.json</c> and <c>model.safetensors</c>, or shards with <c>model.safetensors.index.json</c>: dense or in the
/// layout of GPTQ, AWQ or bitsandbytes. When it is open, every tensor the configuration asks for is there in the right shape, and no other.
/// </summary>
public sealed class HuggingFaceCheckpoint : IDisposable
{
    private readonly SafetensorsShards _shards;

    private HuggingFaceCheckpoint(string folder, LlamaConfig config, SafetensorsShards shards)
    {
        (Folder, Config, _shards) = (folder, config, shards);
        EosIds = config.EosIds;
    }

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>The model; quantisation settings may come from <c>quantize_config.json</c>.</summary>
    public LlamaConfig Config { get; }

    /// <summary>Tokens that end a generated text: those of <c>generation_config.json</c> where it has any, else the model's.</summary>
    public IReadOnlyList<int> EosIds { get; private set; }

    /// <summary>All tensors in the files, sorted.</summary>
    public IReadOnlyList<string> Names => [.. _shards.Names];

    /// <summary>Opens and checks a folder.</summary>
    /// <exception cref="UserErrorException">Something is missing, damaged, or does not fit the configuration.</exception>
    public static HuggingFaceCheckpoint Open(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (!Directory.Exists(folder))
        {
            throw new UserErrorException($"{folder} is no folder; point to a folder with config.json and model.safetensors.");
        }

        LlamaConfig config = GptqCheckpoint.WithSettingsOf(folder, LlamaConfig.Read(folder));
        SafetensorsShards shards = SafetensorsShards.Open(folder);
        try
        {
            HuggingFaceCheckpoint checkpoint = new(folder, config, shards);
            checkpoint.CheckTensors();
            checkpoint.ReadGenerationConfig();
            return checkpoint;
        }
        catch
        {
            shards.Dispose();
            throw;
        }
    }

    /// <summary>Whether the files hold a tensor of that name.</summary>
    public bool Contains(string name) => _shards.FileOf(name) is not null;

    /// <summary>Type and shape of a tensor.</summary>
    /// <exception cref="UserErrorException">There is no such tensor.</exception>
    public SafetensorsInfo Info(string name) => FileOf(name).Info(name);

    /// <summary>A tensor as a view on the mapped file; it stays valid after disposal.</summary>
    /// <exception cref="UserErrorException">There is no such tensor.</exception>
    public Tensor Get(string name) => FileOf(name).GetTensor(name);

    /// <summary>
    /// A tensor widened to float32 in memory of its own: for parameters that are trained, because the mapped file cannot be written.
    /// </summary>
    /// <exception cref="UserErrorException">There is no such tensor, or it is too large for an array.</exception>
    public Tensor GetFloat32Copy(string name) => Tensor.From(FileOf(name).ReadFloats(name), Get(name).Shape);

    /// <summary>The weight of a linear layer, dense or quantised.</summary>
    /// <param name="module">Such as <c>model.layers.0.self_attn.q_proj</c>.</param>
    /// <exception cref="UserErrorException">There is no such layer, or its words are damaged.</exception>
    public WeightMatrix GetWeight(string module) => IsQuantized(module)
        ? new WeightMatrix(Config.Quantization!.ReadLayer(this, module), offsets: Config.Quantization!.ReadOffsets(this, module))
        : new WeightMatrix(Get(module + ".weight"));

    /// <summary>Whether a linear layer is stored as codes.</summary>
    /// <param name="module">Such as <c>model.layers.0.self_attn.q_proj</c>.</param>
    public bool IsQuantized(string module) => Config.Quantization?.IsQuantized(this, module) ?? false;

    /// <summary>The bias of a linear layer, or null where the model has none.</summary>
    public Tensor? GetBias(string module) => LlamaTensorNames.HasBias(Config, module) ? Get(module + ".bias") : null;

    /// <summary>Reads every tensor once and refuses NaN and infinity.</summary>
    /// <exception cref="UserErrorException">A tensor holds one.</exception>
    public void CheckFinite()
    {
        UserErrorException? first = null;
        Parallel.ForEach(Names, (name, loop) =>
        {
            try
            {
                FileOf(name).CheckFinite(name);
            }
            catch (UserErrorException error)
            {
                first = error;
                loop.Stop();
            }
        });
        if (first is not null)
        {
            throw new UserErrorException(first.Message);
        }
    }

    /// <summary>Writes a checkpoint folder: the tensors, the files of the tokenizer, then <c>config.json</c>.</summary>
    /// <param name="folder">Made where missing; files of the same names are replaced, each as a whole.</param>
    /// <param name="config">The model.</param>
    /// <param name="tensors">Its tensors under their canonical names.</param>
    /// <param name="tokenizerFrom">Folder whose tokenizer files are copied; null for none.</param>
    /// <exception cref="UserErrorException">The disk is full or the place cannot be written.</exception>
    public static void Write(string folder, LlamaConfig config, SafetensorsWriter tensors, string? tokenizerFrom)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(tensors);
        tensors.Write(Path.Combine(folder, "model.safetensors"));
        if (tokenizerFrom is not null)
        {
            CompanionFiles.Copy(tokenizerFrom, folder);
        }

        AtomicFile.WriteText(Path.Combine(folder, "config.json"), config.ToJson());
    }

    /// <summary>Closes the files; tensors already taken stay valid.</summary>
    public void Dispose() => _shards.Dispose();

    internal SafetensorsFile FileOf(string name) =>
        _shards.FileOf(name) ?? throw new UserErrorException($"{Folder} has no tensor \"{name}\".");

    private void CheckTensors()
    {
        HashSet<string> expected = new(StringComparer.Ordinal);
        foreach ((string name, Shape shape) in LlamaTensorNames.Tensors(Config))
        {
            string module = name[..name.LastIndexOf('.')];
            if (name.EndsWith("_proj.weight", StringComparison.Ordinal) && IsQuantized(module))
            {
                expected.UnionWith(Config.Quantization!.CheckLayer(this, module, checked((int)shape[0]), checked((int)shape[1])));
                continue;
            }

            CheckTensor(name, shape);
            expected.Add(name);
        }

        List<string> extra = [.. _shards.Names.Where(name => !expected.Contains(name) && !IsTolerated(name))];
        if (extra.Count > 0)
        {
            string list = string.Join(", ", extra.Take(8)) + (extra.Count > 8 ? ", …" : string.Empty);
            throw new UserErrorException(
                $"{FileOf(extra[0]).Path}: {extra.Count} tensors are not part of the model that config.json describes ({list}); the checkpoint and its configuration do not belong together.");
        }
    }

    private void CheckTensor(string name, Shape shape)
    {
        if (!Contains(name))
        {
            throw new UserErrorException($"{Folder}: the tensor \"{name}\" is missing, config.json asks for it with the shape {shape}; the checkpoint is incomplete or of another kind.");
        }

        SafetensorsInfo info = Info(name);
        if (!info.Shape.SequenceEqual(Enumerable.Range(0, shape.Rank).Select(i => shape[i])))
        {
            throw new UserErrorException(
                $"{FileOf(name).Path}: tensor \"{name}\" has the shape [{string.Join(", ", info.Shape)}], config.json asks for {shape}; the checkpoint and its configuration do not belong together.");
        }

        if (info.Type.ToDataType() is not { } type || !type.IsFloating())
        {
            throw new UserErrorException($"{FileOf(name).Path}: tensor \"{name}\" is {info.Type.ToName()}, allowed for weights are F32, BF16 and F16.");
        }
    }

    // Old checkpoints store the rotary frequencies, which follow from the configuration, and some store the tied output layer again.
    private bool IsTolerated(string name)
    {
        if (name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal))
        {
            return true;
        }

        if (name != LlamaTensorNames.Output || !Config.TieWordEmbeddings)
        {
            return name.EndsWith("_proj.bias", StringComparison.Ordinal) && IsQuantized(name[..^5])
                && FileOf(name).ReadFloats(name).All(value => value == 0);
        }

        CheckTensor(name, new Shape(Config.VocabularySize, Config.HiddenSize));
        return FileOf(name).HasSameBytes(name, FileOf(LlamaTensorNames.Embedding), LlamaTensorNames.Embedding)
            ? true
            : throw new UserErrorException(
                $"{FileOf(name).Path}: tensor \"{name}\" differs from the embedding, but config.json says that they are tied (\"tie_word_embeddings\"); set it to false if the output layer is one of its own.");
    }

    private void ReadGenerationConfig()
    {
        string path = Path.Combine(Folder, "generation_config.json");
        if (File.Exists(path))
        {
            IReadOnlyList<int> ids = new JsonFields(JsonFile.ReadObject(path), path).Integers("eos_token_id", 0, int.MaxValue);
            EosIds = ids.Count > 0 ? ids : EosIds;
        }
    }
}
