using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IRmsNormKernels
{
    /// <inheritdoc/>
    public void RmsNormForward(Tensor x, Tensor weight, float epsilon, Tensor y, Tensor rstd)
    {
        ArgumentNullException.ThrowIfNull(x);
        if (Count(x) > 0)
        {
            _device.Launch(
                RmsNormKernels.Forward,
                new LaunchShape((int)x.Shape.Rows),
                new RmsNormKernels.ForwardArguments(Floats(x), Floats(weight), epsilon, (int)x.Shape.Columns, Floats(y), Floats(rstd)));
        }
    }

    /// <inheritdoc/>
    public void RmsNormBackward(Tensor dy, Tensor x, Tensor weight, Tensor rstd, Tensor? dx, Tensor? dWeight)
    {
        ArgumentNullException.ThrowIfNull(x);
        if (Count(x) == 0)
        {
            return;
        }

        int width = (int)x.Shape.Columns;
        if (dx is not null)
        {
            _device.Launch(
                RmsNormKernels.InputGradient,
                new LaunchShape((int)x.Shape.Rows),
                new RmsNormKernels.InputGradientArguments(Floats(dy), Floats(x), Floats(weight), Floats(rstd), width, Floats(dx)));
        }

        if (dWeight is not null)
        {
            LongSums sums = BeginSums((int)x.Shape.Rows, dWeight);
            _device.Launch(
                RmsNormKernels.WeightGradient,
                LaunchShape.For(sums.Runs * sums.Count, RmsNormKernels.WeightGradient.GroupSize),
                new RmsNormKernels.WeightGradientArguments(Floats(dy), Floats(x), Floats(rstd), sums));
            EndSums(sums);
        }
    }
}
