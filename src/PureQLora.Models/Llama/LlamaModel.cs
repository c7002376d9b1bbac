using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>A decoder of the LLaMA family: embedding, blocks, norm, head. Weights may be dense or quantised, mapped or trained.</summary>
/// <remarks>Touvron et al., arXiv:2302.13971; configurations of Llama 2/3, Mistral, Qwen2 and Qwen3 are covered by <see cref="LlamaConfig"/>.</remarks>
public sealed class LlamaModel : IDisposable
{
    private readonly IDisposable? _weights;
    private readonly HashSet<Storage> _copies = [];
    private readonly HashSet<Storage> _originals = [];
    private readonly HashSet<(IDeviceBackend Device, QuantizedMatrix Weight)> _loaded = [];
    private readonly RotaryTableCache _rotary;

    /// <summary>Assembles a model from its weights.</summary>
    /// <param name="config">Dimensions and options.</param>
    /// <param name="weights">Gives tensors by the names that checkpoints use; disposed with the model if it is disposable.</param>
    public LlamaModel(LlamaConfig config, IWeightSource weights)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(weights);
        Config = config;
        _weights = weights as IDisposable;
        _rotary = new RotaryTableCache(config);
        EmbeddingTable = weights.Tensor("model.embed_tokens.weight");
        Head = config.TieWordEmbeddings ? new WeightMatrix(EmbeddingTable) : weights.Weight("lm_head");
        FinalNorm = weights.Vector("model.norm.weight");
        Blocks = [.. Enumerable.Range(0, config.Layers).Select(layer => CreateBlock(config, weights, layer))];
    }

    /// <summary>Dimensions and options.</summary>
    public LlamaConfig Config { get; }

    /// <summary>model.embed_tokens, [vocabulary, hidden].</summary>
    public Tensor EmbeddingTable { get; private set; }

    /// <summary>The decoder's layers.</summary>
    public IReadOnlyList<DecoderBlock> Blocks { get; }

    /// <summary>model.norm, [hidden].</summary>
    public Tensor FinalNorm { get; private set; }

    /// <summary>lm_head, [vocabulary, hidden]; the embedding table itself where they are tied.</summary>
    public WeightMatrix Head { get; private set; }

    /// <summary>Linear layers of all blocks, in the order of the data flow.</summary>
    public IEnumerable<LinearLayer> Linears => Blocks.SelectMany(block => block.Linears);

    /// <summary>Bytes of all weights in memory or mapped, adapters left out.</summary>
    public long WeightBytes => EmbeddingTable.ByteLength + (Config.TieWordEmbeddings ? 0 : Head.ByteLength)
        + Linears.Sum(linear => linear.Weight.ByteLength) + NormsAndBiases.Sum(tensor => tensor.Value.ByteLength);

    /// <summary>Number of weights, adapters left out.</summary>
    public long ParameterCount => EmbeddingTable.Shape.Count + (Config.TieWordEmbeddings ? 0 : (long)Head.OutDim * Head.InDim)
        + Linears.Sum(linear => (long)linear.Weight.OutDim * linear.Weight.InDim) + NormsAndBiases.Sum(tensor => tensor.Value.Shape.Count);

    /// <summary>Everything that trains now: adapter matrices, or all weights after <see cref="MakeTrainable"/>, by name.</summary>
    public IReadOnlyList<NamedParameter> TrainableParameters =>
        [.. AllTensors().Where(parameter => parameter.Value.RequiresGrad)];

    private IEnumerable<NamedParameter> NormsAndBiases
    {
        get
        {
            foreach (DecoderBlock block in Blocks)
            {
                string prefix = block.Attention.Query.Name[..^".self_attn.q_proj".Length];
                yield return new($"{prefix}.input_layernorm.weight", block.InputNorm);
                yield return new($"{prefix}.post_attention_layernorm.weight", block.PostAttentionNorm);
                if (block.Attention is { QueryNorm: { } queryNorm, KeyNorm: { } keyNorm })
                {
                    yield return new($"{prefix}.self_attn.q_norm.weight", queryNorm);
                    yield return new($"{prefix}.self_attn.k_norm.weight", keyNorm);
                }

                foreach (LinearLayer linear in block.Linears)
                {
                    if (linear.Bias is { } bias)
                    {
                        yield return new($"{linear.Name}.bias", bias);
                    }
                }
            }

            yield return new("model.norm.weight", FinalNorm);
        }
    }

    /// <summary>Hidden states after the final norm.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="input">Tokens and how they see each other.</param>
    /// <returns>[batch, seq, hidden]</returns>
    public Tensor Forward(ComputeScope scope, ModelInput input)
    {
        ArgumentNullException.ThrowIfNull(scope);
        BlockContext context = Context(input);
        Tensor x = Embed(scope, input);
        bool half = input.Checkpoint && input.ActivationType == DataType.BFloat16;
        x = half ? Cast.Forward(scope, x, DataType.BFloat16) : x;
        for (int layer = 0; layer < Blocks.Count; layer++)
        {
            DecoderBlock block = Blocks[layer];
            // Without gradients a block's tensors end with it as well: a prompt of 512 tokens would else leave a gigabyte of them behind.
            x = input.Checkpoint || !scope.RecordsGradients
                ? Checkpoint.Forward(scope, x, (block, context), static (scope, x, state) => RunAlone(scope, x, state.block, state.context))
                : block.Forward(scope, x, context);
        }

        input.Cache?.Advance((int)input.Ids.Shape[1]);
        x = half ? Cast.Forward(scope, x, DataType.Float32) : x;
        return RmsNorm.Forward(scope, x, FinalNorm, (float)Config.RmsNormEpsilon);
    }

    /// <summary>Token embeddings, the input of the first block.</summary>
    /// <returns>[batch, seq, hidden]</returns>
    public Tensor Embed(ComputeScope scope, ModelInput input) => Embedding.Forward(scope, EmbeddingTable, input.Ids);

    /// <summary>What the blocks need besides x.</summary>
    public BlockContext Context(ModelInput input)
    {
        long longest = (input.Cache?.Capacity ?? 0) + input.Ids.Shape[1];
        return new BlockContext(input.Positions, input.Segments, _rotary.AtLeast(longest), input.Cache);
    }

    /// <summary>Scores of every vocabulary entry.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="hidden">[…, hidden] after the final norm.</param>
    /// <returns>[…, vocabulary]</returns>
    public Tensor Logits(ComputeScope scope, Tensor hidden) => QLoraLinear.Forward(scope, hidden, Head);

    /// <summary>Σ nll over supervised tokens / normalizer; the logits never exist whole.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="input">Tokens [batch, seq].</param>
    /// <param name="targets">Int32 [batch, seq]: the token each position must predict, −100 where it is not supervised.</param>
    /// <param name="normalizer">Supervised tokens of the whole accumulated batch.</param>
    /// <returns>[1]</returns>
    public Tensor Loss(ComputeScope scope, ModelInput input, Tensor targets, float normalizer)
    {
        ArgumentNullException.ThrowIfNull(targets);
        Tensor hidden = Forward(scope, input);
        long tokens = targets.Shape.Count;
        return CrossEntropy.Forward(
            scope, Reshape.Forward(scope, hidden, new Shape(tokens, Config.HiddenSize)), Head, scope.View(targets, new Shape(tokens)), normalizer);
    }

    /// <summary>Makes every weight a float32 parameter, for full fine-tuning or training from random weights.</summary>
    /// <exception cref="InvalidOperationException">A weight is quantised.</exception>
    public void MakeTrainable()
    {
        EmbeddingTable = Trainable(EmbeddingTable);
        Head = Config.TieWordEmbeddings
            ? new WeightMatrix(EmbeddingTable)
            : new WeightMatrix(Trainable(Head.Dense ?? throw new InvalidOperationException("lm_head is quantised and stays frozen.")));
        FinalNorm = Trainable(FinalNorm);
        foreach (DecoderBlock block in Blocks)
        {
            block.InputNorm = Trainable(block.InputNorm);
            block.PostAttentionNorm = Trainable(block.PostAttentionNorm);
            if (block.Attention is { QueryNorm: { } queryNorm, KeyNorm: { } keyNorm })
            {
                block.Attention.QueryNorm = Trainable(queryNorm);
                block.Attention.KeyNorm = Trainable(keyNorm);
            }

            foreach (LinearLayer linear in block.Linears)
            {
                linear.MakeTrainable();
            }
        }
    }

    /// <summary>
    /// Takes all weights and adapters into a backend's memory; parameters stay parameters. Where they are there already, as mapped files
    /// are for the CPU, nothing happens.
    /// </summary>
    /// <remarks>
    /// Tensors are replaced: call it after adapters were added or merged or the weights made trainable, and before a trainer collects the
    /// parameters; again after others were added. The copies end with the model, and no later than the backend.
    /// </remarks>
    /// <param name="backend">Shall compute with the model.</param>
    /// <exception cref="DeviceFailedException">There is no room.</exception>
    public void MoveTo(IBackend backend)
    {
        ArgumentNullException.ThrowIfNull(backend);
        HashSet<Storage> before = [.. Storages()];
        _originals.UnionWith(before);
        try
        {
            MoveTensors(backend);
            if (backend is IDeviceBackend device)
            {
                LoadQuantized(device);
            }
        }
        finally
        {
            _copies.UnionWith(Storages().Where(storage => !before.Contains(storage)));
            _originals.ExceptWith(_copies);
        }
    }

    /// <summary>All dense tensors by the names that checkpoints use; adapter matrices under their PEFT names without prefix.</summary>
    public IEnumerable<NamedParameter> AllTensors()
    {
        yield return new("model.embed_tokens.weight", EmbeddingTable);
        if (!Config.TieWordEmbeddings && Head.Dense is { } head)
        {
            yield return new("lm_head.weight", head);
        }

        foreach (LinearLayer linear in Linears)
        {
            if (linear.Weight.Dense is { } dense)
            {
                yield return new($"{linear.Name}.weight", dense);
            }

            if (linear.Adapter is { } adapter)
            {
                yield return new($"{linear.Name}.lora_A.weight", adapter.A);
                yield return new($"{linear.Name}.lora_B.weight", adapter.B);
            }
        }

        foreach (NamedParameter parameter in NormsAndBiases)
        {
            yield return parameter;
        }
    }

    /// <summary>Releases mapped files and what <see cref="MoveTo"/> copied.</summary>
    public void Dispose()
    {
        foreach ((IDeviceBackend device, QuantizedMatrix weight) in _loaded)
        {
            device.Release(weight);
        }

        if (_copies.Count > 0)
        {
            // An optimiser may have moved the parameters since.
            _copies.UnionWith(Storages().Where(storage => !_originals.Contains(storage)));
        }

        foreach (Storage copy in _copies)
        {
            copy.Dispose();
        }

        _loaded.Clear();
        _copies.Clear();
        _originals.Clear();
        _weights?.Dispose();
    }

    private void MoveTensors(IBackend backend)
    {
        EmbeddingTable = EmbeddingTable.To(backend);
        WeightMatrix head = Head;
        Head = !Config.TieWordEmbeddings ? head.To(backend) : head.Dense == EmbeddingTable ? head : new WeightMatrix(EmbeddingTable);
        FinalNorm = FinalNorm.To(backend);
        foreach (DecoderBlock block in Blocks)
        {
            block.MoveTo(backend);
        }
    }

    private void LoadQuantized(IDeviceBackend device)
    {
        foreach (QuantizedMatrix weight in Linears.Select(linear => linear.Weight.Quantized).Append(Head.Quantized).OfType<QuantizedMatrix>())
        {
            device.Load(weight);
            _loaded.Add((device, weight));
        }
    }

    private IEnumerable<Storage> Storages() =>
        AllTensors().SelectMany(tensor => new[] { tensor.Value, tensor.Value.Grad }).OfType<Tensor>().Select(tensor => tensor.Storage);

    private static Tensor Trainable(Tensor tensor) => Tensor.From(tensor.ToArray(), tensor.Shape).AsParameter();

    private static Tensor RunAlone(ComputeScope scope, Tensor x, DecoderBlock block, BlockContext context) => x.DataType == DataType.Float32
        ? block.ForwardAlone(scope, x, context)
        : Cast.Forward(scope, block.ForwardAlone(scope, Cast.Forward(scope, x, DataType.Float32), context), x.DataType);

    private static DecoderBlock CreateBlock(LlamaConfig config, IWeightSource weights, int layer)
    {
        string prefix = $"model.layers.{layer}";
        LinearLayer Linear(string name, bool bias) =>
            new($"{prefix}.{name}", weights.Weight($"{prefix}.{name}"), bias ? weights.Vector($"{prefix}.{name}.bias") : null);
        SelfAttention attention = new(
            config,
            layer,
            Linear("self_attn.q_proj", config.QueryKeyValueBias),
            Linear("self_attn.k_proj", config.QueryKeyValueBias),
            Linear("self_attn.v_proj", config.QueryKeyValueBias),
            Linear("self_attn.o_proj", config.OutputBias))
        {
            QueryNorm = config.QueryKeyNorm ? weights.Vector($"{prefix}.self_attn.q_norm.weight") : null,
            KeyNorm = config.QueryKeyNorm ? weights.Vector($"{prefix}.self_attn.k_norm.weight") : null,
        };
        FeedForward feedForward = new(
            Linear("mlp.gate_proj", config.MlpBias), Linear("mlp.up_proj", config.MlpBias), Linear("mlp.down_proj", config.MlpBias));
        return new DecoderBlock(
            attention,
            feedForward,
            weights.Vector($"{prefix}.input_layernorm.weight"),
            weights.Vector($"{prefix}.post_attention_layernorm.weight"),
            (float)config.RmsNormEpsilon);
    }
}
