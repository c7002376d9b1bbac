namespace PureQLora.Core.Tests;

/// <summary>Base of every operation's tests: one contract, bound to each backend by a derived class.</summary>
public abstract class OpTests
{
    protected abstract IBackend Backend { get; }

    /// <summary>Share of the elements that tests of large tensors take; a simulated device runs its threads one after another.</summary>
    protected virtual double Scale => 1;

    /// <summary>Whether a case of so many multiplications is left out on this backend.</summary>
    protected virtual bool IsTooLong(long multiplications) => false;

    protected ComputeScope Record() => new(Backend, recordGradients: true);

    /// <summary>A seeded parameter with values in [−1, 1).</summary>
    protected static Tensor Parameter(Shape shape, int seed) => Constant(shape, seed).AsParameter();

    /// <summary>A seeded constant with values in [−1, 1).</summary>
    protected static Tensor Constant(Shape shape, int seed)
    {
        Tensor tensor = Tensor.Create(shape);
        Random random = new(seed);
        foreach (ref float value in tensor.Floats)
        {
            value = (random.NextSingle() * 2f) - 1f;
        }

        return tensor;
    }

    /// <summary>Managed bytes that this thread allocates in one step, once a few have warmed up.</summary>
    protected long AllocatedBy(Action step)
    {
        Assert.SkipUnless(Backend is CpuBackend, "What is allocated is measured on the CPU.");
        for (int i = 0; i < 3; i++)
        {
            step();
        }

        return Allocation.Of(step);
    }

    /// <summary>Runs backward as if the loss were Σ weight(i) · y(i), the sum that <see cref="Reference.WeightedSum"/> takes.</summary>
    protected static void BackwardFromWeightedSum(ComputeScope scope, Tensor y) => WeightedSumLoss.Backward(scope, y);
}
