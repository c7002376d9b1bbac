using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>A named linear layer: weight, bias and, where one was injected, a LoRA adapter.</summary>
public sealed class LinearLayer
{
    private WeightMatrix? _unmerged;

    /// <summary>Creates the layer.</summary>
    /// <param name="name">Module name as checkpoints have it, such as <c>model.layers.0.self_attn.q_proj</c>.</param>
    /// <param name="weight">[outDim, inDim]</param>
    /// <param name="bias">[outDim] or null.</param>
    public LinearLayer(string name, WeightMatrix weight, Tensor? bias = null)
    {
        ArgumentNullException.ThrowIfNull(weight);
        (Name, Weight, Bias) = (name, weight, bias);
    }

    /// <summary>Module name as checkpoints have it.</summary>
    public string Name { get; }

    /// <summary>Last part of the name, such as <c>q_proj</c>.</summary>
    public string ShortName => Name[(Name.LastIndexOf('.') + 1)..];

    /// <summary>[outDim, inDim], dense or quantised.</summary>
    public WeightMatrix Weight { get; private set; }

    /// <summary>[outDim], or null.</summary>
    public Tensor? Bias { get; private set; }

    /// <summary>The low-rank adapter, or null.</summary>
    public LoraAdapter? Adapter { get; set; }

    /// <summary>True while an adapter is folded into the weight.</summary>
    public bool IsMerged => _unmerged is not null;

    /// <summary>y = x·Wᵀ + bias + adapter(x).</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">[…, inDim]</param>
    /// <param name="endsBlock">True where y is read as the result of a checkpointed block only.</param>
    /// <returns>[…, outDim]</returns>
    public Tensor Forward(ComputeScope scope, Tensor x, bool endsBlock = false) =>
        QLoraLinear.Forward(scope, x, Weight, Bias, IsMerged ? null : Adapter?.Branch, endsBlock);

    /// <summary>Puts another weight of the same dimensions in place, as quantisation does.</summary>
    /// <exception cref="ArgumentException">The dimensions differ.</exception>
    public void ReplaceWeight(WeightMatrix weight)
    {
        ArgumentNullException.ThrowIfNull(weight);
        if ((weight.OutDim, weight.InDim) != (Weight.OutDim, Weight.InDim))
        {
            throw new ArgumentException($"{Name} is {Weight}, the replacement is {weight}.", nameof(weight));
        }

        Weight = weight;
    }

    /// <summary>Copies a dense weight and the bias to float32 parameters, for full fine-tuning.</summary>
    /// <exception cref="InvalidOperationException">The weight is quantised.</exception>
    public void MakeTrainable()
    {
        Tensor dense = Weight.Dense ?? throw new InvalidOperationException($"{Name} is quantised and stays frozen; train an adapter on it.");
        Weight = new WeightMatrix(Tensor.From(dense.ToArray(), dense.Shape).AsParameter());
        Bias = Bias is null ? null : Tensor.From(Bias.ToArray(), Bias.Shape).AsParameter();
    }

    /// <summary>Makes the scales of a quantised weight a parameter, until <see cref="FreezeScales"/>; codes and zero points stay.</summary>
    /// <returns>[outDim, groups], on the weight's own memory.</returns>
    /// <exception cref="InvalidOperationException">The weight is dense.</exception>
    public Tensor MakeScalesTrainable()
    {
        QuantizedMatrix quantized = Weight.Quantized ?? throw new InvalidOperationException($"{Name} is not quantised and has no scales.");
        Weight = new WeightMatrix(quantized, trainScales: true, Weight.Offsets);
        return Weight.Scales!;
    }

    /// <summary>Ends the training of the scales; they keep their values.</summary>
    public void FreezeScales()
    {
        if (Weight is { Scales: not null, Quantized: { } quantized })
        {
            Weight = new WeightMatrix(quantized, offsets: Weight.Offsets);
        }
    }

    /// <summary>Takes weight, bias and adapter into a backend's memory.</summary>
    internal void MoveTo(IBackend backend)
    {
        (Weight, _unmerged, Bias) = (Weight.To(backend), _unmerged?.To(backend), Bias?.To(backend));
        Adapter?.MoveTo(backend);
    }

    /// <summary>Uses a merged weight until <see cref="Unmerge"/>, which puts back the very weight that is here now.</summary>
    internal void Merge(WeightMatrix merged)
    {
        if (IsMerged)
        {
            throw new InvalidOperationException($"{Name} is merged already; unmerge it first.");
        }

        WeightMatrix before = Weight;
        ReplaceWeight(merged);
        _unmerged = before;
    }

    /// <summary>Takes the adapter out of the weight again.</summary>
    internal void Unmerge()
    {
        Weight = _unmerged ?? throw new InvalidOperationException($"{Name} is not merged.");
        _unmerged = null;
    }
}
