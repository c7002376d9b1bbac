using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>What command lines and recipes call the starts of adapters.</summary>
public static class AdapterStartNames
{
    /// <summary>The name of a start.</summary>
    public static string Name(this AdapterStart start) => start switch
    {
        AdapterStart.Loftq => "loftq",
        AdapterStart.Error => "error",
        _ => "zero",
    };

    /// <summary>The start of a name.</summary>
    /// <exception cref="UserErrorException">There is none.</exception>
    public static AdapterStart Parse(string name) => name switch
    {
        "zero" => AdapterStart.Zero,
        "loftq" => AdapterStart.Loftq,
        "error" => AdapterStart.Error,
        _ => throw new UserErrorException($"\"{name}\" is no start of adapters, allowed are zero, loftq and error."),
    };
}
