namespace PureQLora.Models;

/// <summary>Which weights decide the grid of a group that starts inside a running block of columns.</summary>
/// <remarks>The two agree wherever a group starts where a block starts, and for static groups. Neither wins on loss.</remarks>
public enum GridVariant
{
    /// <summary>The weights as updated by all columns before the group, so the result does not depend on the block size.</summary>
    Current,

    /// <summary>The weights as they were when the running block began, as in the authors' published code.</summary>
    BlockStart,
}
