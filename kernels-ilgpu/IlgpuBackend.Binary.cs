using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IBinaryKernels
{
    /// <inheritdoc/>
    public void BinaryForward(BinaryKind kind, Tensor a, Tensor b, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        ArgumentNullException.ThrowIfNull(y);
        int count = Count(y);
        if (count > 0)
        {
            _device.Launch(
                BinaryKernels.Forward,
                LaunchShape.For(count, BinaryKernels.Forward.GroupSize),
                new BinaryKernels.ForwardArguments(
                    (int)kind, ExtentsOf(y.Shape), count, Floats(a), StridesOf(a.Shape), Floats(b), StridesOf(b.Shape), Floats(y)));
        }
    }

    /// <inheritdoc/>
    public void BinaryBackward(BinaryKind kind, Tensor dy, Tensor a, Tensor b, Tensor? da, Tensor? db)
    {
        ArgumentNullException.ThrowIfNull(dy);
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        if (Count(dy) > 0)
        {
            LaunchBinaryBackward(kind, dy, a, b, a, da, ofSecond: 0);
            LaunchBinaryBackward(kind, dy, a, b, b, db, ofSecond: 1);
        }
    }

    /// <inheritdoc/>
    public void Affine(Tensor x, float factor, float term, Tensor y) => LaunchAffine(x, factor, term, TargetMode.Write, y);

    /// <summary>Extents, with leading axes of 1 up to four.</summary>
    private static Extents ExtentsOf(Shape shape) => new(Extent(shape, 4), Extent(shape, 3), Extent(shape, 2), Extent(shape, 1));

    private static int Extent(Shape shape, int fromEnd) => fromEnd <= shape.Rank ? (int)shape[-fromEnd] : 1;

    /// <summary>Row-major strides; 0 along axes of one element, which are repeated.</summary>
    private static Extents StridesOf(Shape shape)
    {
        Extents extents = ExtentsOf(shape);
        return new Extents(
            extents.X == 1 ? 0 : extents.Y * extents.Z * extents.W,
            extents.Y == 1 ? 0 : extents.Z * extents.W,
            extents.Z == 1 ? 0 : extents.W,
            extents.W == 1 ? 0 : 1);
    }

    private void LaunchBinaryBackward(BinaryKind kind, Tensor dy, Tensor a, Tensor b, Tensor operand, Tensor? gradient, int ofSecond)
    {
        if (gradient is null)
        {
            return;
        }

        (Extents shape, Extents own) = (ExtentsOf(dy.Shape), ExtentsOf(operand.Shape));
        Extents repeated = new(shape.X / own.X, shape.Y / own.Y, shape.Z / own.Z, shape.W / own.W);
        int terms = Count(dy) / Count(operand);
        LongSums sums = BeginSums(terms, gradient);
        _device.Launch(
            BinaryKernels.Backward,
            LaunchShape.For(sums.Runs * sums.Count, BinaryKernels.Backward.GroupSize),
            new BinaryKernels.BackwardArguments(
                (int)kind, shape, Floats(dy), Floats(a), StridesOf(a.Shape), Floats(b), StridesOf(b.Shape), ofSecond, own, repeated, terms, sums));
        EndSums(sums);
    }
}
