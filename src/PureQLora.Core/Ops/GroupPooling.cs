namespace PureQLora.Core;

/// <summary>
/// Sums over groups of neighbouring columns, and their gradient: what a quantised weight's offsets and an adapter that knows the groups
/// (Xu et al., arXiv:2309.14717, section 3.3) see of an input.
/// </summary>
internal static class GroupPooling
{
    /// <summary>pooled = factor · Σ of each group.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">[…, columns]</param>
    /// <param name="groupSize">Divides the columns.</param>
    /// <param name="factor">Factor of the sums.</param>
    /// <returns>[rows, columns / groupSize]</returns>
    public static Tensor Forward(ComputeScope scope, Tensor x, int groupSize, double factor)
    {
        Tensor groups = Groups(scope, x, groupSize);                          // [rows, groups, groupSize]
        Tensor pooled = scope.New(new Shape(groups.Shape[0], groups.Shape[1]));
        scope.Backend.ReduceSum(groups, 2, factor, pooled);
        return pooled;
    }

    /// <summary>dx += factor · dPooled, repeated over each group.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="dPooled">[rows, groups]</param>
    /// <param name="groupSize">As forward.</param>
    /// <param name="factor">As forward.</param>
    /// <param name="dx">[…, columns]</param>
    public static void Backward(ComputeScope scope, Tensor dPooled, int groupSize, double factor, Tensor dx) =>
        scope.Backend.ReduceSumBackward(dPooled, 2, factor, Groups(scope, dx, groupSize));

    private static Tensor Groups(ComputeScope scope, Tensor x, int groupSize) =>
        scope.View(x, new Shape(x.Shape.Rows, x.Shape.Columns / groupSize, groupSize));
}
