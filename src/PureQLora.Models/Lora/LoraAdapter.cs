using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>The adapter of one linear layer: y += scale · (x·Aᵀ)·Bᵀ.</summary>
/// <remarks>Hu et al., arXiv:2106.09685, eq. 3; scale alpha/√rank: Kalajdzievski, arXiv:2312.03732.</remarks>
public sealed class LoraAdapter
{
    /// <summary>Creates an adapter from its matrices.</summary>
    /// <param name="a">Down-projection, [rank, inDim], Float32.</param>
    /// <param name="b">Up-projection, [outDim, rank], Float32.</param>
    /// <param name="scale">alpha/rank, or alpha/√rank.</param>
    /// <param name="dropout">Probability in [0, 1) that an input element is dropped in training.</param>
    public LoraAdapter(Tensor a, Tensor b, float scale, float dropout)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        if (a.Shape.Rank != 2 || b.Shape.Rank != 2 || a.Shape[0] != b.Shape[1])
        {
            throw new ArgumentException($"lora_A is {a.Shape} and lora_B is {b.Shape}; they must be [rank, inDim] and [outDim, rank].", nameof(a));
        }

        (A, B, Scale, Dropout) = (a, b, scale, dropout);
    }

    /// <summary>Down-projection, [rank, inDim].</summary>
    public Tensor A { get; private set; }

    /// <summary>Up-projection, [outDim, rank].</summary>
    public Tensor B { get; private set; }

    /// <summary>Factor of the branch, dimensionless.</summary>
    public float Scale { get; }

    /// <summary>Probability that an input element is dropped in training.</summary>
    public float Dropout { get; }

    /// <summary>False switches the branch off, so that the base answers alone.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Rank of the update.</summary>
    public int Rank => (int)A.Shape[0];

    /// <summary>What the linear operation takes; null while switched off.</summary>
    internal LoraBranch? Branch => Enabled ? new LoraBranch(A, B, Scale, Dropout) : null;

    /// <summary>Takes both matrices into a backend's memory.</summary>
    internal void MoveTo(IBackend backend) => (A, B) = (A.To(backend), B.To(backend));

    /// <summary>A new adapter as PEFT starts it: A uniform in ±1/√inDim (Kaiming with a = √5), B zero.</summary>
    /// <param name="outDim">Output features of the layer.</param>
    /// <param name="inDim">Input features of the layer.</param>
    /// <param name="rank">Rank of the update.</param>
    /// <param name="scale">Factor of the branch.</param>
    /// <param name="dropout">Dropout probability.</param>
    /// <param name="random">Gives A.</param>
    public static LoraAdapter Initialize(int outDim, int inDim, int rank, float scale, float dropout, RandomState random)
    {
        ArgumentNullException.ThrowIfNull(random);
        Tensor a = Tensor.Create(new Shape(rank, inDim));
        Tensor b = Tensor.Create(new Shape(outDim, rank));
        ulong key = random.NextKey();
        float bound = 1f / MathF.Sqrt(inDim);
        Span<float> values = a.Floats;
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = ((2f * RandomState.Uniform(key, i)) - 1f) * bound;
        }

        return new LoraAdapter(a, b, scale, dropout);
    }
}
