using System.Buffers;
using System.Runtime.InteropServices;
using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IAdamWKernels, INormKernels
{
    /// <inheritdoc/>
    public void AdamWStep(
        Tensor parameter, Tensor grad, Tensor m, Tensor v, double learningRate, double beta1, double beta2, double epsilon, double weightDecay, long step, float gradientScale)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        ArgumentNullException.ThrowIfNull(grad);
        ArgumentNullException.ThrowIfNull(m);
        ArgumentNullException.ThrowIfNull(v);
        ArgumentOutOfRangeException.ThrowIfLessThan(step, 1);
        int count = Count(parameter);
        if (grad.Shape.Count != count || m.Shape.Count != count || v.Shape.Count != count)
        {
            throw new ArgumentException($"The parameter is {parameter.Shape}, its gradient {grad.Shape}, its moments {m.Shape} and {v.Shape}; they must be equal.", nameof(grad));
        }

        _device.Launch(
            AdamWKernels.Step,
            LaunchShape.For(count, AdamWKernels.Step.GroupSize),
            new AdamWKernels.StepArguments(
                Floats(parameter), Floats(grad), Floats(m), Floats(v), count, AdamWFactors.Of(learningRate, beta1, beta2, epsilon, weightDecay, step, gradientScale)));
    }

    /// <inheritdoc/>
    public double SumOfSquares(Tensor x)
    {
        ArgumentNullException.ThrowIfNull(x);
        int count = Count(x);
        LaunchShape shape = LaunchShape.For(count, AdamWKernels.SumPiece);
        DeviceMemory workspace = Workspace((long)shape.GroupsX * sizeof(double));
        _device.Launch(
            AdamWKernels.SumOfSquares, shape, new AdamWKernels.SumOfSquaresArguments(Floats(x), count, workspace.View<double>(0, shape.GroupsX)));
        double[] sums = ArrayPool<double>.Shared.Rent(shape.GroupsX);
        workspace.Read(0, MemoryMarshal.AsBytes(sums.AsSpan(0, shape.GroupsX)));
        double total = 0;
        for (int i = 0; i < shape.GroupsX; i++)
        {
            total += sums[i];
        }

        ArrayPool<double>.Shared.Return(sums);
        return total;
    }
}
