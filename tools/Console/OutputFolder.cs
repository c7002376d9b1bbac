using System.Security.Cryptography;
using PureQLora.Core;

namespace PureQLora.Tools;

/// <summary>
/// A folder that takes its name only when it is whole. It is filled under a temporary name beside the final one and renamed by
/// <see cref="Commit"/>; whatever fails before that leaves nothing behind.
/// </summary>
public sealed class OutputFolder : IDisposable
{
    private readonly string _target;
    private readonly List<string> _madeParents;
    private bool _committed;

    private OutputFolder(string target, string temporary, List<string> madeParents) => (_target, Temporary, _madeParents) = (target, temporary, madeParents);

    /// <summary>Where the files go until <see cref="Commit"/>.</summary>
    public string Temporary { get; }

    /// <summary>Makes the temporary folder, so that a place that cannot be written is known before the work starts.</summary>
    /// <param name="path">The final name: empty or absent.</param>
    /// <exception cref="UserErrorException">It is a file, holds something, or cannot be made.</exception>
    public static OutputFolder Create(string path)
    {
        CommonOptions.RequireEmpty(path);
        string target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        string temporary = $"{target}.{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(6))}.tmp";
        List<string> missing = [];
        for (string? parent = Path.GetDirectoryName(target); parent is not null && !Directory.Exists(parent); parent = Path.GetDirectoryName(parent))
        {
            missing.Add(parent);
        }

        OutputFolder folder = new(target, temporary, missing);
        try
        {
            Directory.CreateDirectory(temporary);
            return folder;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            folder.Dispose();
            throw new UserErrorException($"The output folder {path} cannot be made ({exception.Message.TrimEnd('.')}); name a place that can be written.", exception);
        }
    }

    /// <summary>Gives the folder its name.</summary>
    /// <exception cref="UserErrorException">Something took the name meanwhile, or the place cannot be written.</exception>
    public void Commit()
    {
        try
        {
            if (Directory.Exists(_target))
            {
                Directory.Delete(_target);
            }

            Directory.Move(Temporary, _target);
            _committed = true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"The output folder {_target} could not take its name ({exception.Message.TrimEnd('.')}); name another one.", exception);
        }
    }

    /// <summary>Removes what was not committed.</summary>
    public void Dispose()
    {
        if (_committed)
        {
            return;
        }

        try
        {
            if (Directory.Exists(Temporary))
            {
                Directory.Delete(Temporary, recursive: true);
            }

            foreach (string parent in _madeParents.TakeWhile(Directory.Exists))
            {
                Directory.Delete(parent);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The first failure is the one worth reporting.
        }
    }
}
