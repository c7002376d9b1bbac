namespace PureQLora.Core;

/// <summary>Names of the precisions as recipes, results and the command line have them.</summary>
public static class PrecisionNames
{
    /// <summary>The name: float32, bfloat16 or int8.</summary>
    public static string Name(this Precision precision) => precision switch
    {
        Precision.Float32 => "float32",
        Precision.BFloat16 => "bfloat16",
        _ => "int8",
    };
}
