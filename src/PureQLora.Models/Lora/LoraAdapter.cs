using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>The adapter of one linear layer: y += scale · (pool(x)·Aᵀ)·Bᵀ, where pool is nothing but in QA-LoRA.</summary>
/// <remarks>
/// Hu et al., arXiv:2106.09685, eq. 3; scale alpha/√rank: Kalajdzievski, arXiv:2312.03732; pooled by group: <see cref="LoraBranch"/>.
/// </remarks>
public sealed class LoraAdapter
{
    /// <summary>Creates an adapter from its matrices.</summary>
    /// <param name="a">Down-projection, [rank, inDim], or [rank, inDim / groupSize]; Float32.</param>
    /// <param name="b">Up-projection, [outDim, rank], Float32.</param>
    /// <param name="scale">alpha/rank, or alpha/√rank.</param>
    /// <param name="dropout">Probability in [0, 1) that an input element is dropped in training.</param>
    /// <param name="groupSize">Inputs that share a column of A (QA-LoRA); 0 for none.</param>
    public LoraAdapter(Tensor a, Tensor b, float scale, float dropout, int groupSize = 0)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        if (a.Shape.Rank != 2 || b.Shape.Rank != 2 || a.Shape[0] != b.Shape[1])
        {
            throw new ArgumentException($"lora_A is {a.Shape} and lora_B is {b.Shape}; they must be [rank, inDim] and [outDim, rank].", nameof(a));
        }

        ArgumentOutOfRangeException.ThrowIfNegative(groupSize);
        (A, B, Scale, Dropout, GroupSize) = (a, b, scale, dropout, groupSize);
    }

    /// <summary>Down-projection, [rank, inDim], or [rank, inDim / <see cref="GroupSize"/>].</summary>
    public Tensor A { get; private set; }

    /// <summary>Up-projection, [outDim, rank].</summary>
    public Tensor B { get; private set; }

    /// <summary>Factor of the branch, dimensionless.</summary>
    public float Scale { get; }

    /// <summary>Probability that an input element is dropped in training.</summary>
    public float Dropout { get; }

    /// <summary>Inputs that share a column of A (QA-LoRA); 0 for plain LoRA.</summary>
    public int GroupSize { get; }

    /// <summary>False switches the branch off, so that the base answers alone.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Rank of the update.</summary>
    public int Rank => (int)A.Shape[0];

    /// <summary>What the linear operation takes; null while switched off.</summary>
    internal LoraBranch? Branch => Enabled ? new LoraBranch(A, B, Scale, Dropout, GroupSize) : null;

    /// <summary>Takes both matrices into a backend's memory.</summary>
    internal void MoveTo(IBackend backend) => (A, B) = (A.To(backend), B.To(backend));

    /// <summary>A as it acts on x itself: with groups, each column repeated over its group, times the factor of pooling. [rank, inDim]</summary>
    internal float[] FullA()
    {
        float[] a = A.ToArray();
        if (GroupSize == 0)
        {
            return a;
        }

        double factor = LoraBranch.PoolingFactor(A.Shape[1] * GroupSize, GroupSize);
        float[] full = new float[checked(a.Length * GroupSize)];
        for (int i = 0; i < a.Length; i++)
        {
            full.AsSpan(i * GroupSize, GroupSize).Fill((float)(factor * a[i]));
        }

        return full;
    }

    /// <summary>A new adapter as PEFT starts it: A uniform in ±1/√columns (Kaiming with a = √5), B zero.</summary>
    /// <param name="outDim">Output features of the layer.</param>
    /// <param name="inDim">Input features of the layer.</param>
    /// <param name="rank">Rank of the update.</param>
    /// <param name="scale">Factor of the branch.</param>
    /// <param name="dropout">Dropout probability.</param>
    /// <param name="random">Gives A.</param>
    /// <param name="groupSize">Inputs that share a column of A, a divisor of <paramref name="inDim"/>; 0 for none.</param>
    public static LoraAdapter Initialize(int outDim, int inDim, int rank, float scale, float dropout, RandomState random, int groupSize = 0)
    {
        ArgumentNullException.ThrowIfNull(random);
        int columns = inDim / Math.Max(1, groupSize);
        Tensor a = Tensor.Create(new Shape(rank, columns));
        Tensor b = Tensor.Create(new Shape(outDim, rank));
        ulong key = random.NextKey();
        float bound = 1f / MathF.Sqrt(columns);
        Span<float> values = a.Floats;
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = ((2f * RandomState.Uniform(key, i)) - 1f) * bound;
        }

        return new LoraAdapter(a, b, scale, dropout, groupSize);
    }
}
